/** Who is behind a name: two people may be called the same, and one person may be called two things. */

/** People that a sentence names one by one. */
const MOST_NAMES = 4;

/**
 * A token, "token 4f1c09aa"; or a person's account at a sign-in provider, "account https://login.example 248289761001": the
 * issuer and the subject that it never gives to anybody else (OpenID Connect Core 1.0 §2).
 */
export type PersonId = `token ${string}` | `account ${string}`;

export interface Person {
  /** What tables and sentences call them. */
  readonly name: string;
  /** Absent where nobody is asked who they are, and on records that were made before it was kept. */
  readonly id?: PersonId | undefined;
}

/** "ann", "ann and ben", "ann, ben and 12 others". */
export function peopleText(people: readonly Person[]): string {
  const names = [...new Set(people.map(({ name }) => name))];
  const more = names.length - MOST_NAMES;
  const shown = more > 0 ? [...names.slice(0, MOST_NAMES), `${more} ${more === 1 ? "other" : "others"}`] : names;
  const last = shown.at(-1) ?? "";
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(", ")} and ${last}`;
}

/** Whoever tells a campaign something. */
export interface Speaker {
  readonly by: string;
  /** As in `Person`. */
  readonly personId?: PersonId | undefined;
}

/**
 * Whether two names may stand for one person. Accounts are told apart by who they are, and their names mean nothing. An administrator
 * gives tokens their names: two tokens of one name are one person's, as is an account of that name.
 */
export function isSamePerson(one: Person, other: Person): boolean {
  if (isAccount(one) && isAccount(other)) return one.id === other.id;
  return one.name === other.name;
}

/** Who a person is, where that is known from more than a name; null = a token, or nobody was asked. */
export const accountOf = (id: PersonId | undefined): string | null => (id?.startsWith("account ") === true ? id : null);

const isAccount = ({ id }: Person): boolean => accountOf(id) !== null;
