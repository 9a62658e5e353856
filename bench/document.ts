/**
 * Places for tables in a Markdown document: `<!-- bench: ID -->` and `<!-- /bench -->`, each alone
 * on its line, with whatever was measured last between them.
 */

export interface Block {
  readonly id: string;
  readonly content: string;
}

const PLACE = /^<!-- bench: ([\w.-]+) -->\n([\s\S]*?)^<!-- \/bench -->$/gm;

/** The ids of the document's places, in their order. */
export function placesOf(document: string): string[] {
  return [...document.matchAll(PLACE)].map(([, id = ""]) => id);
}

/** The document with the blocks in their places, and the ids that it has no place for. */
export function fillDocument(
  document: string,
  blocks: readonly Block[],
): { readonly document: string; readonly homeless: readonly string[] } {
  const places = new Set(placesOf(document));
  const contents = new Map(blocks.map(({ id, content }) => [id, content]));
  const filled = document.replace(PLACE, (whole, id: string) => {
    const content = contents.get(id);
    if (content === undefined) return whole;
    return `<!-- bench: ${id} -->\n${content.trim()}\n<!-- /bench -->`;
  });
  const homeless = blocks.map(({ id }) => id).filter((id) => !places.has(id));
  return { document: filled, homeless };
}
