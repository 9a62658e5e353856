/** Which stories of the lab are told: a share in every test run, all of them by `npm run lab`. */

/** Set to `all` by scripts/lab.ts. */
export const LAB_SCOPE = "SATSUMA_LAB";

/** Whether every story is told. */
export function isWholeLab(): boolean {
  return process.env[LAB_SCOPE] === "all";
}

/** The stories of this run. */
export function labShare<Story extends { readonly everyRun?: boolean }>(
  stories: readonly Story[],
): readonly Story[] {
  return isWholeLab() ? stories : stories.filter(({ everyRun }) => everyRun === true);
}
