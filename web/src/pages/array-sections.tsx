/** The facts of an array and of its write-intent bitmap. */

import type { ComponentChildren } from "preact";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { formatDuration } from "../format/duration.ts";
import { formatBytes, formatCount } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { Meter } from "../parts/meter.tsx";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";

interface FactProperties {
  readonly name: string;
  readonly hint?: string;
  readonly children: ComponentChildren;
}

/** One line of a list of facts. */
export function Fact({ name, hint, children }: FactProperties) {
  return (
    <div class="fact" {...(hint === undefined ? {} : { title: hint })}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The level, and the layout where there is one: `raid10 f2`. */
const levelText = ({ level, layout }: ArrayResource["config"]): string =>
  layout === null ? level : `${level} ${layout}`;

/** What the superblock and the settings say. */
export function ArrayFacts({ array }: { array: ArrayResource }) {
  const { config, status } = array;
  const limits = t("array.speed-range", {
    min: formatBytes(config.sync_speed_min),
    max: formatBytes(config.sync_speed_max),
  });
  return (
    <Section title={t("array.facts")}>
      <dl class="facts">
        <Fact name={t("array.level")}>{levelText(config)}</Fact>
        {config.chunk_size !== null && (
          <Fact name={t("array.chunk")}>{formatBytes(config.chunk_size)}</Fact>
        )}
        {config.home_cluster !== null && (
          <Fact name={t("array.cluster")}>{config.home_cluster}</Fact>
        )}
        <Fact name={t("array.size")}>
          <Bytes value={config.size} />
        </Fact>
        <Fact name={t("array.state")}>
          <code>{status.array_state}</code>
        </Fact>
        <Fact name={t("array.events")}>
          <span class="number">{formatCount(status.events)}</span>
        </Fact>
        <Fact name={t("array.mismatches")} hint={t("array.mismatches-why")}>
          <span class="number">{formatCount(status.mismatch_count)}</span>
        </Fact>
        <Fact name={t("array.policy")}>{status.consistency_policy}</Fact>
        <Fact name={t("array.speed-limit")}>{limits}</Fact>
        <Fact name={t("array.metadata")}>{config.metadata}</Fact>
        <Fact name={t("array.created")}>
          <TimeAgo time={array.created_at} />
        </Fact>
        <Fact name={t("array.uuid")}>
          <code class="breakable">{array.id}</code>
        </Fact>
      </dl>
    </Section>
  );
}

const crashText = ({ config }: ArrayResource, dirty: number, total: number): string => {
  if (dirty === 0) {
    return t("bitmap.why-none");
  }
  const size = formatBytes(config.size);
  return dirty === total
    ? t("bitmap.why-all")
    : t("bitmap.why", { bytes: formatBytes(dirty * config.bitmap.chunk_size), size });
};

/** How much of the array the bitmap marks, and what that means after a crash. */
export function BitmapFacts({ array }: { array: ArrayResource }) {
  const { config, status } = array;
  const { bitmap } = status;
  const { type, chunk_size, delay } = config.bitmap;
  if (bitmap === null) {
    return (
      <Section title={t("bitmap.title")}>
        <p class="faint">{type === "none" ? t("bitmap.none") : t("bitmap.off")}</p>
      </Section>
    );
  }
  const { dirty, total } = bitmap;
  const text = t("bitmap.dirty", { count: dirty, total });
  return (
    <Section title={t("bitmap.title")}>
      <div class="bitmap" data-dirty={dirty} data-total={total}>
        <p>{text}</p>
        <Meter
          label={t("bitmap.bar")}
          percent={total === 0 ? 0 : (dirty / total) * 100}
          text={text}
          tone="dirty"
          role="meter"
        />
        <p class="faint">{crashText(array, dirty, total)}</p>
        <p class="faint">
          {t("bitmap.chunk", {
            chunk: formatBytes(chunk_size),
            type,
            delay: formatDuration(delay),
          })}
        </p>
      </div>
    </Section>
  );
}
