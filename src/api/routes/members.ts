/** Members of an array: list, add, fail, remove, re-add, replace, flags. */

import { CodedError } from "../../common/errors.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import type { MemberFlags } from "../../control/member-flags.ts";
import { replyWithJob } from "../job-reply.ts";
import { arrayResource, memberResource } from "../resources/array-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { ArrayObject, ArrayParams } from "../schemas/array.ts";
import { RefTo } from "../schemas/common.ts";
import { JobObject } from "../schemas/job.ts";
import type { MemberResource } from "../schemas/member.ts";
import {
  Member,
  MemberAdd,
  MemberList,
  MemberParams,
  MemberPatch,
  MemberReAdd,
  MemberReplace,
} from "../schemas/member.ts";

const membersOf = (control: ControlPlane, key: string): MemberResource[] =>
  arrayResource(control, control.arrays.find(key)).status.members;

const memberOf = (control: ControlPlane, key: string, deviceKey: string): MemberResource => {
  const view = control.arrays.find(key);
  const { record } = control.devices.find(deviceKey);
  const member = view.status?.members.find((candidate) => candidate.path === record.path);
  if (member === undefined) {
    const message = `device ${record.id} is no member of array ${view.record.name}`;
    throw new CodedError("CONTROL_MEMBER_NOT_FOUND", message, {
      remedy: "list the members of the array",
    });
  }
  return memberResource(control, view.record.uuid, member);
};

interface Flags {
  readonly write_mostly?: boolean | undefined;
  readonly failfast?: boolean | undefined;
}

const flagsOf = ({ write_mostly, failfast }: Flags): MemberFlags => ({
  ...(write_mostly === undefined ? {} : { writeMostly: write_mostly }),
  ...(failfast === undefined ? {} : { failfast }),
});

const registerReading = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays/:array/members",
    {
      schema: {
        operationId: "listMembers",
        summary: "Members, spares and empty raid slots",
        tags: ["members"],
        params: ArrayParams,
        response: replies({ 200: RefTo(MemberList) }),
      },
    },
    async ({ params }) => ({ items: membersOf(control, params.array), next_cursor: null }),
  );

  app.get(
    "/api/v1/arrays/:array/members/:device_id",
    {
      schema: {
        operationId: "getMember",
        summary: "One member by the id of its device",
        tags: ["members"],
        params: MemberParams,
        response: replies({ 200: RefTo(Member) }),
      },
    },
    async ({ params }) => memberOf(control, params.array, params.device_id),
  );
};

const registerJoining = (app: ApiServer, { control }: RouteContext): void => {
  const shown = (key: string) => () => arrayResource(control, control.arrays.find(key));

  app.post(
    "/api/v1/arrays/:array/members",
    {
      schema: {
        operationId: "addMember",
        summary: "Add a device: rebuilt at once into an empty raid slot, else a spare",
        tags: ["members"],
        params: ArrayParams,
        body: RefTo(MemberAdd),
        response: replies({ 201: RefTo(ArrayObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { params, body, actor } = request;
      const { memberCommands } = control;
      const order = { force: body.force ?? false, ...flagsOf(body) };
      const job = await memberCommands.add(params.array, body.device_id, order, actor);
      return await replyWithJob(control, request, reply, job, {
        status: 201,
        show: shown(params.array),
      });
    },
  );

  app.post(
    "/api/v1/arrays/:array/members/:device_id/actions/re-add",
    {
      schema: {
        operationId: "reAddMember",
        summary: "Take back a member that was here before, by the bitmap",
        tags: ["members"],
        params: MemberParams,
        body: RefTo(MemberReAdd),
        response: replies({ 200: RefTo(ArrayObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { params, body, actor } = request;
      const { array, device_id } = params;
      const order = { force: body.force ?? false };
      const job = await control.memberCommands.reAdd(array, device_id, order, actor);
      return await replyWithJob(control, request, reply, job, {
        status: 200,
        show: shown(params.array),
      });
    },
  );
};

const registerChanging = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/arrays/:array/members/:device_id/actions/replace",
    {
      schema: {
        operationId: "replaceMember",
        summary: "Copy a member onto a spare, which then takes its raid slot",
        description: "Redundancy never falls; the old member is faulty at the end.",
        tags: ["members"],
        params: MemberParams,
        body: RefTo(MemberReplace),
        response: replies({ 200: RefTo(ArrayObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { params, body, actor } = request;
      const { array, device_id } = params;
      const job = control.memberCommands.replace(array, device_id, body.with ?? null, actor);
      return await replyWithJob(control, request, reply, job, {
        status: 200,
        show: () => arrayResource(control, control.arrays.find(array)),
      });
    },
  );

  app.patch(
    "/api/v1/arrays/:array/members/:device_id",
    {
      schema: {
        operationId: "changeMember",
        summary: "Set or clear the flags of a member",
        tags: ["members"],
        params: MemberParams,
        body: RefTo(MemberPatch),
        response: replies({ 200: RefTo(Member) }),
      },
    },
    async ({ params, body }) => {
      await control.memberCommands.setFlags(params.array, params.device_id, flagsOf(body));
      return memberOf(control, params.array, params.device_id);
    },
  );
};

const registerLeaving = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/arrays/:array/members/:device_id/actions/fail",
    {
      schema: {
        operationId: "failMember",
        summary: "Mark a member faulty; the last in-sync member is refused",
        tags: ["members"],
        params: MemberParams,
        response: replies({ 200: RefTo(ArrayObject) }),
      },
    },
    async ({ params }) => {
      await control.memberCommands.fail(params.array, params.device_id);
      return arrayResource(control, control.arrays.find(params.array));
    },
  );

  app.delete(
    "/api/v1/arrays/:array/members/:device_id",
    {
      schema: {
        operationId: "removeMember",
        summary: "Take a faulty member or a spare out of the array",
        tags: ["members"],
        params: MemberParams,
        response: replies({ 200: RefTo(ArrayObject) }),
      },
    },
    async ({ params }) => {
      await control.memberCommands.remove(params.array, params.device_id);
      return arrayResource(control, control.arrays.find(params.array));
    },
  );
};

/** Registers the routes. */
export function registerMemberRoutes(app: ApiServer, context: RouteContext): void {
  registerReading(app, context);
  registerJoining(app, context);
  registerChanging(app, context);
  registerLeaving(app, context);
}
