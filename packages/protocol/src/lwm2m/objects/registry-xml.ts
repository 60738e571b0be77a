/** Object definitions from the XML files of the OMA registry (schemas LWM2M.xsd, LWM2M-v1_1.xsd). */
import { XMLParser } from "fast-xml-parser";
import { PeerError } from "../../lib/errors.ts";
import type { ObjectModel, Operations, ResourceModel } from "../model.ts";
import { isId } from "../path.ts";
import type { ResourceType } from "../value.ts";

export interface RegistryXmlLimits {
  /** The largest file of the registry is below 200 kB. */
  readonly maxCharacters: number;
  readonly maxResources: number;
}

export const DEFAULT_REGISTRY_XML_LIMITS: RegistryXmlLimits = { maxCharacters: 2 ** 20, maxResources: 4_096 };

/**
 * The objects in one file. Entities and document types are refused, not expanded.
 *
 * @throws {PeerError} OBJECT_XML for text that is no XML or no object definition; `facts.at` names the element.
 * @throws {PeerError} TOO_MANY beyond `limits`.
 */
export function parseRegistryXml(
  text: string,
  limits: RegistryXmlLimits = DEFAULT_REGISTRY_XML_LIMITS,
): [ObjectModel, ...ObjectModel[]] {
  if (text.length > limits.maxCharacters) throw new PeerError("TOO_MANY", "too long", { characters: text.length });
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw invalid("a document type is not allowed", "!DOCTYPE");
  const [first, ...rest] = elements(elements(parse(text), "LWM2M")[0], "Object");
  if (first === undefined) throw invalid("no object", "LWM2M");
  return [readObject(first, limits), ...rest.map((object) => readObject(object, limits))];
}

type Element = Readonly<Record<string, unknown>>;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  htmlEntities: false,
  maxNestedTags: 16,
});

function parse(text: string): Element {
  try {
    return parser.parse(text.replace(/^\uFEFF/, ""), true) as Element;
  } catch (cause) {
    throw new PeerError("OBJECT_XML", "not XML", { at: "" }, { cause });
  }
}

function readObject(object: Element, { maxResources }: RegistryXmlLimits): ObjectModel {
  const id = readId(textOf(object, "ObjectID"), "ObjectID");
  const version = textOf(object, "ObjectVersion") || "1.0";
  if (!/^[0-9]{1,3}\.[0-9]{1,3}$/.test(version)) throw invalid("a version reads 1.0", "ObjectVersion");
  const items = elements(elements(object, "Resources")[0], "Item");
  if (items.length > maxResources) throw new PeerError("TOO_MANY", "too many resources", { maxResources });
  const resources = new Map<number, ResourceModel>();
  for (const item of items) {
    const resource = readResource(item);
    if (resources.has(resource.id)) throw invalid("a resource twice", `Item ${resource.id}`);
    resources.set(resource.id, resource);
  }
  return {
    id,
    name: textOf(object, "Name"),
    version,
    multiple: readChoice(object, "MultipleInstances", MULTIPLE),
    mandatory: readChoice(object, "Mandatory", MANDATORY),
    resources,
  };
}

function readResource(item: Element): ResourceModel {
  const id = readId(String(item["@ID"] ?? ""), "Item");
  return {
    id,
    name: textOf(item, "Name"),
    operations: readChoice(item, "Operations", OPERATIONS),
    multiple: readChoice(item, "MultipleInstances", MULTIPLE),
    mandatory: readChoice(item, "Mandatory", MANDATORY),
    type: readChoice(item, "Type", TYPES),
    range: textOf(item, "RangeEnumeration"),
    units: textOf(item, "Units"),
    since: "1.0",
  };
}

const MULTIPLE = { single: false, multiple: true };
const MANDATORY = { optional: false, mandatory: true };
const OPERATIONS: Readonly<Record<string, Operations>> = { "": "none", r: "R", w: "W", rw: "RW", wr: "RW", e: "E" };
const TYPES: Readonly<Record<string, ResourceType>> = {
  "": "none",
  string: "string",
  integer: "integer",
  "unsigned integer": "unsigned",
  float: "float",
  boolean: "boolean",
  opaque: "opaque",
  time: "time",
  objlnk: "objlnk",
  corelnk: "corelnk",
};

/** Files differ in case, and in whether an element that says nothing is there. */
function readChoice<Choice>(element: Element, name: string, choices: Readonly<Record<string, Choice>>): Choice {
  const word = textOf(element, name).toLowerCase();
  const choice = Object.hasOwn(choices, word) ? choices[word] : undefined;
  if (choice === undefined) throw invalid(`not a value of ${name}: ${word.slice(0, 64)}`, name);
  return choice;
}

function readId(text: string, at: string): number {
  const id = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!isId(id)) throw invalid("an id is 0 to 65534", at);
  return id;
}

function textOf(element: Element, name: string): string {
  const value = element[name] ?? "";
  if (typeof value !== "string") throw invalid(`${name} is no text`, name);
  return value.trim().replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => PREDEFINED[name] ?? "");
}

/** The entities every XML text may use; no others are known. */
const PREDEFINED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function elements(parent: Element | undefined, name: string): Element[] {
  const value = parent?.[name];
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  return list.filter((entry) => typeof entry === "object" && entry !== null) as Element[];
}

function invalid(message: string, at: string): PeerError {
  return new PeerError("OBJECT_XML", message, { at });
}
