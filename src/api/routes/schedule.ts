/** Scrub schedules, the history of scrubs, spare groups. */

import { scheduleOrder, scheduleResource, scrubResource } from "../resources/schedule-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { ArrayParams } from "../schemas/array.ts";
import { RefTo } from "../schemas/common.ts";
import {
  ScheduleObject,
  SchedulePut,
  ScrubList,
  ScrubQuery,
  SpareGroupPut,
} from "../schemas/schedule.ts";

const registerSchedule = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays/:array/schedule",
    {
      schema: {
        operationId: "getSchedule",
        summary: "The scrub schedule, the scrub under way, and why nothing starts now",
        tags: ["scrubs"],
        params: ArrayParams,
        response: replies({ 200: RefTo(ScheduleObject) }),
      },
    },
    async ({ params }) => scheduleResource(control, control.arrays.find(params.array)),
  );

  app.put(
    "/api/v1/arrays/:array/schedule",
    {
      schema: {
        operationId: "setSchedule",
        summary: "Check or repair the array regularly, inside a window of the day",
        description:
          "Give cron or every_days. A scrub that its window cuts short goes on in the next one.",
        tags: ["scrubs"],
        params: ArrayParams,
        body: RefTo(SchedulePut),
        response: replies({ 200: RefTo(ScheduleObject) }),
      },
    },
    async ({ params, body }) => {
      await control.scrubs.setSchedule(params.array, scheduleOrder(body));
      return scheduleResource(control, control.arrays.find(params.array));
    },
  );
};

const registerScrubs = (app: ApiServer, { control }: RouteContext): void => {
  app.delete(
    "/api/v1/arrays/:array/schedule",
    {
      schema: {
        operationId: "deleteSchedule",
        summary: "Stop scrubbing regularly; a scrub of the schedule is cancelled",
        tags: ["scrubs"],
        params: ArrayParams,
        response: replies({ 200: RefTo(ScheduleObject) }),
      },
    },
    async ({ params }) => {
      await control.scrubs.removeSchedule(params.array);
      return scheduleResource(control, control.arrays.find(params.array));
    },
  );

  app.get(
    "/api/v1/arrays/:array/scrubs",
    {
      schema: {
        operationId: "listScrubs",
        summary: "Checks and repairs of the array, newest first",
        tags: ["scrubs"],
        params: ArrayParams,
        querystring: ScrubQuery,
        response: replies({ 200: RefTo(ScrubList) }),
      },
    },
    async ({ params, query }) => {
      const { uuid } = control.arrays.find(params.array).record;
      const passes = control.scrubs.passes.page(uuid, query.limit ?? 20);
      return { items: passes.map(scrubResource), next_cursor: null };
    },
  );
};

const registerSpareGroup = (app: ApiServer, { control }: RouteContext): void => {
  const groupOf = (key: string): { readonly spare_group: string | null } => ({
    spare_group: control.spareGroups.groupOf(control.arrays.find(key).record.uuid),
  });

  app.get(
    "/api/v1/arrays/:array/spare-group",
    {
      schema: {
        operationId: "getSpareGroup",
        summary: "The spare group of the array",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(SpareGroupPut) }),
      },
    },
    async ({ params }) => groupOf(params.array),
  );

  app.put(
    "/api/v1/arrays/:array/spare-group",
    {
      schema: {
        operationId: "setSpareGroup",
        summary: "Share spares with the other arrays of a group, or with none",
        description:
          "As with mdadm's monitor: a degraded array without a spare gets one of another array of the group that is not degraded.",
        tags: ["arrays"],
        params: ArrayParams,
        body: RefTo(SpareGroupPut),
        response: replies({ 200: RefTo(SpareGroupPut) }),
      },
    },
    async ({ params, body }) => {
      control.spareGroups.setGroup(params.array, body.spare_group);
      return groupOf(params.array);
    },
  );
};

/** Registers the routes. */
export function registerScheduleRoutes(app: ApiServer, context: RouteContext): void {
  registerSchedule(app, context);
  registerScrubs(app, context);
  registerSpareGroup(app, context);
}
