/** A first-in, first-out queue from whose middle a member leaves in constant time: the order of constant delays. */

/** What a member carries; an object is in at most one queue at a time. */
export interface QueueLinks<T> {
  before: T | undefined;
  after: T | undefined;
  isQueued: boolean;
}

export class LinkedQueue<T extends QueueLinks<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The member that has waited longest. */
  get first(): T | undefined {
    return this.#first;
  }

  append(member: T): void {
    member.before = this.#last;
    member.after = undefined;
    member.isQueued = true;
    if (this.#last) this.#last.after = member;
    else this.#first = member;
    this.#last = member;
    this.#size += 1;
  }

  /** Removes a member of this queue; nothing happens when it is in none. */
  remove(member: T): void {
    if (!member.isQueued) return;
    if (member.before) member.before.after = member.after;
    else this.#first = member.after;
    if (member.after) member.after.before = member.before;
    else this.#last = member.before;
    member.before = undefined;
    member.after = undefined;
    member.isQueued = false;
    this.#size -= 1;
  }

  /** Makes a member the last one. */
  moveToEnd(member: T): void {
    if (this.#last === member) return;
    this.remove(member);
    this.append(member);
  }
}
