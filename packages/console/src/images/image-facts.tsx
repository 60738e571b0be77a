/** What was read from an image's file, and what was said of it. */
import type { Image } from "@airlift/protocol/api/schemas";
import type { ReactNode } from "react";
import { Moment } from "../parts/instants.tsx";

export function ImageFacts({ image }: { readonly image: Image }) {
  const facts: readonly (readonly [string, ReactNode])[] = [
    ["For", `${image.manufacturer} ${image.model}`],
    ["Version", image.version],
    ["Hardware", image.hardware.length === 0 ? "any" : image.hardware.join(", ")],
    ["Format", image.format === "raw" ? "raw: nothing is known of what is in it" : "MCUboot"],
    ["Signature", <Signature key="signature" image={image} />],
    ["Security counter", image.securityCounter ?? "none"],
    ["Size", `${image.sizeBytes.toLocaleString()} B`],
    [
      "SHA-256",
      <span key="sha" className="mono">
        {image.sha256}
      </span>,
    ],
    [
      "Id",
      <span key="id" className="mono">
        {image.id}
      </span>,
    ],
    ["Added", <Moment key="added" at={image.createdAt} />],
  ];
  return (
    <dl className="pairs">
      {facts.map(([name, value]) => (
        <div key={name} className="pair">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Signature({ image: { signature } }: { readonly image: Image }) {
  if (signature === null) return "none: a device that checks signatures refuses it";
  return (
    <>
      {signature.algorithm},{" "}
      {signature.verifiedBy === null
        ? "not verified here: no trusted key made it"
        : `verified by ${signature.verifiedBy}`}
      {signature.keyHash !== null && <div className="mono">key {signature.keyHash}</div>}
    </>
  );
}
