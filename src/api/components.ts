/** The schemas with a name: components of the OpenAPI document, referred to by `RefTo`. */

import type { TSchema } from "typebox";
import { ArrayList, ArrayObject, ArrayStop, Sync } from "./schemas/array.ts";
import { ArrayCandidate, ArrayCandidateList } from "./schemas/array-candidate.ts";
import { ArrayPatch, ArrayPlan, ArrayPost } from "./schemas/array-order.ts";
import { BitmapList, BitmapObject } from "./schemas/bitmap.ts";
import {
  ClusterCreate,
  ClusterJoin,
  ClusterLeave,
  ClusterMember,
  ClusterObject,
  DiscoveredNode,
  DiscoveredNodeList,
  JoinTokenCreate,
  JoinTokenList,
  JoinTokenObject,
  NewJoinToken,
  NodeEvict,
  NodePatch,
  WitnessList,
} from "./schemas/cluster.ts";
import { Problem } from "./schemas/common.ts";
import { DeviceCreate, DeviceList, DeviceObject, DevicePatch } from "./schemas/device.ts";
import { ArrayAbsence, ArrayDlm, Dlm } from "./schemas/dlm.ts";
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
import {
  Member,
  MemberAdd,
  MemberList,
  MemberPatch,
  MemberReAdd,
  MemberReplace,
} from "./schemas/member.ts";
import { Mismatches } from "./schemas/mismatch.ts";
import {
  ImpactList,
  ImpactObject,
  NodeDrain,
  NodeList,
  NodeObject,
  NodeRestart,
} from "./schemas/node.ts";
import { PeerObject, PeerReport } from "./schemas/peer.ts";
import { Rescue } from "./schemas/rescue.ts";
import {
  ScheduleObject,
  SchedulePut,
  Scrub,
  ScrubList,
  SpareGroupPut,
} from "./schemas/schedule.ts";
import { SyncAction, SyncActionPut } from "./schemas/sync-action.ts";
import { Ready, System } from "./schemas/system.ts";

const ALL: readonly TSchema[] = [
  ArrayCandidate,
  ArrayCandidateList,
  ArrayAbsence,
  ArrayDlm,
  ArrayList,
  ArrayObject,
  ArrayPatch,
  ArrayPlan,
  ArrayPost,
  ArrayStop,
  Attach,
  ClusterCreate,
  ClusterJoin,
  ClusterLeave,
  ClusterMember,
  ClusterObject,
  DiscoveredNode,
  DiscoveredNodeList,
  JoinTokenCreate,
  JoinTokenList,
  JoinTokenObject,
  NewJoinToken,
  NodeEvict,
  NodePatch,
  WitnessList,
  BitmapList,
  BitmapObject,
  DeviceCreate,
  DeviceList,
  DeviceObject,
  DevicePatch,
  Dlm,
  EventList,
  EventObject,
  ExportClientList,
  ExportClientObject,
  ExportCreate,
  ExportList,
  ExportObject,
  ExportPatch,
  ImpactList,
  ImpactObject,
  JobList,
  JobObject,
  LabFault,
  LabFaultCreate,
  LabFaultList,
  Member,
  MemberAdd,
  MemberList,
  MemberPatch,
  MemberReAdd,
  MemberReplace,
  Mismatches,
  NodeDrain,
  NodeList,
  NodeObject,
  NodeRestart,
  PeerObject,
  PeerReport,
  Problem,
  Ready,
  Rescue,
  ScheduleObject,
  SchedulePut,
  Scrub,
  ScrubList,
  SpareGroupPut,
  Sync,
  SyncAction,
  SyncActionPut,
  System,
];

/** Every component by its `$id`. */
export const COMPONENTS: ReadonlyMap<string, TSchema> = new Map(
  ALL.map((schema) => [(schema as { readonly $id: string }).$id, schema]),
);
