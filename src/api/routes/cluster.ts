/** The cluster that the board looks after: made, joined, left; tokens, witnesses, neighbours. */

import { Type } from "typebox";
import { clusterResource, tokenResource } from "../resources/cluster-resource.ts";
import { timeText } from "../resources/times.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import {
  ClusterCreate,
  ClusterJoin,
  ClusterLeave,
  ClusterObject,
  DiscoveredNodeList,
  JoinTokenCreate,
  JoinTokenList,
  JoinTokenParams,
  NewJoinToken,
  type NewJoinTokenResource,
  NodeEvict,
  NodePatch,
  WitnessList,
  WitnessParams,
  WitnessQuery,
} from "../schemas/cluster.ts";
import { RefTo } from "../schemas/common.ts";
import { NodeParams } from "../schemas/node.ts";

type Control = RouteContext["control"];

const tags = ["cluster"];

const newToken = (
  { life }: Control,
  role: "board" | "witness",
  replaces: string | null,
): NewJoinTokenResource => {
  const { text, record } = life.createToken({ role, replaces });
  const verb = role === "board" ? "satsuma cluster join" : "satsuma witness --data DIR --join";
  const command = `${verb} ${text}`;
  return { id: record.id, token: text, expires_at: timeText(record.expiresAt), command };
};

const registerCluster = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/cluster",
    {
      schema: {
        operationId: "getCluster",
        summary: "The cluster: boards, witnesses, votes, what it survives",
        tags,
        response: replies({ 200: RefTo(ClusterObject) }),
      },
    },
    async () => clusterResource(control),
  );

  app.post(
    "/api/v1/cluster",
    {
      schema: {
        operationId: "createCluster",
        summary: "Make a cluster of this board alone",
        tags,
        body: RefTo(ClusterCreate),
        response: replies({ 201: RefTo(ClusterObject) }),
      },
    },
    async ({ body }, reply) => {
      await control.life.create(body.name);
      return reply.code(201).send(clusterResource(control));
    },
  );
};

const registerMembership = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/cluster/actions/join",
    {
      schema: {
        operationId: "joinCluster",
        summary: "Join a cluster by a token",
        description:
          "The board starts anew in its cluster right after the reply: arrays stop clean and start again, clients attach anew.",
        tags,
        body: RefTo(ClusterJoin),
        response: replies({ 200: RefTo(ClusterObject) }),
      },
    },
    async ({ body }) => {
      await control.life.join(body.token, body.name ?? null);
      return clusterResource(control);
    },
  );

  app.post(
    "/api/v1/cluster/actions/leave",
    {
      schema: {
        operationId: "leaveCluster",
        summary: "Leave the cluster: the vote is handed over, the certificate refused",
        description: "Takes up to a minute. The board starts anew right after the reply.",
        tags,
        body: RefTo(ClusterLeave),
        response: replies({ 200: RefTo(ClusterObject) }),
      },
    },
    async ({ body }) => {
      await control.life.leave(body.force ?? false);
      return clusterResource(control);
    },
  );
};

const registerTokens = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/join-tokens",
    {
      schema: {
        operationId: "listJoinTokens",
        summary: "Tokens that this board made, without their secrets",
        tags,
        response: replies({ 200: RefTo(JoinTokenList) }),
      },
    },
    async () => ({ items: control.life.status.tokens.map(tokenResource), next_cursor: null }),
  );

  app.post(
    "/api/v1/join-tokens",
    {
      schema: {
        operationId: "createJoinToken",
        summary: "A token by which one board or witness can join, for an hour",
        description: "With `replaces` it is for new hardware in the place of that board.",
        tags,
        body: RefTo(JoinTokenCreate),
        response: replies({ 201: RefTo(NewJoinToken) }),
      },
    },
    async ({ body }, reply) => {
      const { role = "board", replaces = null } = body;
      return reply.code(201).send(newToken(control, role, replaces));
    },
  );

  app.delete(
    "/api/v1/join-tokens/:token_id",
    {
      schema: {
        operationId: "deleteJoinToken",
        summary: "Take a token back",
        tags,
        params: JoinTokenParams,
        response: replies({ 204: Type.Null() }),
      },
    },
    async ({ params }, reply) => {
      control.life.removeToken(params.token_id);
      return reply.code(204).send(null);
    },
  );
};

const registerNodes = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/nodes/:node/actions/evict",
    {
      schema: {
        operationId: "evictNode",
        summary: "Take another board out of the cluster; its certificate is refused from then on",
        description:
          "One that runs agrees, hands its vote over first and forgets the cluster. One that does not answer is taken out with `force` only, once the others have fenced it. Refused where an array would lose a copy, unless forced; its last in-sync copy is never taken away.",
        tags,
        params: NodeParams,
        body: RefTo(NodeEvict),
        response: replies({ 200: RefTo(ClusterObject) }),
      },
    },
    async ({ params, body }) => {
      await control.life.evict(params.node, body.force ?? false);
      return clusterResource(control);
    },
  );

  app.patch(
    "/api/v1/nodes/:node",
    {
      schema: {
        operationId: "renameNode",
        summary: "Give a board of the cluster another name; it starts anew with it",
        description: "Refused as evictNode is: its disks are away for some seconds.",
        tags,
        params: NodeParams,
        body: RefTo(NodePatch),
        response: replies({ 200: RefTo(ClusterObject) }),
      },
    },
    async ({ params, body }) => {
      await control.life.rename(params.node, body.name, body.force ?? false);
      return clusterResource(control);
    },
  );

  app.get(
    "/api/v1/discovered-nodes",
    {
      schema: {
        operationId: "listDiscoveredNodes",
        summary: "Boards that answer on this network; takes a second",
        tags,
        response: replies({ 200: RefTo(DiscoveredNodeList) }),
      },
    },
    async () => {
      const found = await control.life.discover();
      const items = found.map((board) => ({ ...board, addresses: [...board.addresses] }));
      return { items, next_cursor: null };
    },
  );
};

const registerWitnesses = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/witnesses",
    {
      schema: {
        operationId: "listWitnesses",
        summary: "Machines that only vote",
        tags,
        response: replies({ 200: RefTo(WitnessList) }),
      },
    },
    async () => {
      const { members } = clusterResource(control);
      return { items: members.filter(({ role }) => role === "witness"), next_cursor: null };
    },
  );

  app.post(
    "/api/v1/witnesses",
    {
      schema: {
        operationId: "createWitness",
        summary: "A token by which a witness can join, and what to type there",
        tags,
        response: replies({ 201: RefTo(NewJoinToken) }),
      },
    },
    async (_, reply) => reply.code(201).send(newToken(control, "witness", null)),
  );

  app.delete(
    "/api/v1/witnesses/:witness",
    {
      schema: {
        operationId: "deleteWitness",
        summary: "Take a witness out, as evictNode does",
        tags,
        params: WitnessParams,
        querystring: WitnessQuery,
        response: replies({ 204: Type.Null() }),
      },
    },
    async ({ params, query }, reply) => {
      await control.life.evict(params.witness, query.force ?? false);
      return reply.code(204).send(null);
    },
  );
};

/** Registers the routes. */
export function registerClusterRoutes(app: ApiServer, context: RouteContext): void {
  registerCluster(app, context);
  registerMembership(app, context);
  registerTokens(app, context);
  registerNodes(app, context);
  registerWitnesses(app, context);
}
