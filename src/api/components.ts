/** The schemas with a name: components of the OpenAPI document, referred to by `RefTo`. */

import type { TSchema } from "typebox";
import {
  ArrayCandidate,
  ArrayCandidateList,
  ArrayList,
  ArrayObject,
  ArrayPlan,
  ArrayPost,
  ArrayStop,
  Sync,
} from "./schemas/array.ts";
import { BitmapList, BitmapObject } from "./schemas/bitmap.ts";
import { Problem } from "./schemas/common.ts";
import { DeviceCreate, DeviceList, DeviceObject, DevicePatch } from "./schemas/device.ts";
import { EventList, EventObject } from "./schemas/event.ts";
import {
  Attach,
  ExportClientList,
  ExportClientObject,
  ExportCreate,
  ExportList,
  ExportObject,
  ExportPatch,
} from "./schemas/export.ts";
import { JobList, JobObject } from "./schemas/job.ts";
import { LabFault, LabFaultCreate, LabFaultList } from "./schemas/lab.ts";
import { Member, MemberAdd, MemberList } from "./schemas/member.ts";
import { SyncAction, SyncActionPut } from "./schemas/sync-action.ts";
import { Ready, System } from "./schemas/system.ts";

const ALL: readonly TSchema[] = [
  ArrayCandidate,
  ArrayCandidateList,
  ArrayList,
  ArrayObject,
  ArrayPlan,
  ArrayPost,
  ArrayStop,
  Attach,
  BitmapList,
  BitmapObject,
  DeviceCreate,
  DeviceList,
  DeviceObject,
  DevicePatch,
  EventList,
  EventObject,
  ExportClientList,
  ExportClientObject,
  ExportCreate,
  ExportList,
  ExportObject,
  ExportPatch,
  JobList,
  JobObject,
  LabFault,
  LabFaultCreate,
  LabFaultList,
  Member,
  MemberAdd,
  MemberList,
  Problem,
  Ready,
  Sync,
  SyncAction,
  SyncActionPut,
  System,
];

/** Every component by its `$id`. */
export const COMPONENTS: ReadonlyMap<string, TSchema> = new Map(
  ALL.map((schema) => [(schema as { readonly $id: string }).$id, schema]),
);
