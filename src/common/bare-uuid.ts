/** Superblocks, bitmaps and people write a UUID in different forms: its digits alone. */
export const bareUuid = (uuid: string): string => uuid.replaceAll(/[-:]/g, "").toLowerCase();
