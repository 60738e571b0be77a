/** Half of each new page of devices stays free: a whole fleet that changes at once finds room beside itself, and no index changes. */
export const ROOM_FOR_CHANGES = `
  alter table devices set (fillfactor = 50);
`;
