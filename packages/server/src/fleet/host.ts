/** Who an address belongs to, as far as that can be told from it: what many are counted or served by. */

/** The IPv4 address, or the /64 of an IPv6 address ("2001:db8:0:0::/64"): whoever has one of those has 2^64 of them. */
export function hostOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Math.max(0, 8 - groups.length - rest.length);
  const network = [...groups, ...Array.from({ length: zeros }, () => "0"), ...rest].slice(0, 4);
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
