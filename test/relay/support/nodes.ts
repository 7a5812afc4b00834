// Three nodes of pathcast that share a relay, and paths whose channels are on the shard that a test wants.
import type { TestContext } from 'node:test';
import { slotOf } from '#src/relay/cluster.js';
import { request } from '../../support/http.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { becomes } from './becomes.js';

/** Starts three nodes, in this process. */
export function startNodes(t: TestContext, url: string, ...flags: string[]): Promise<TestServer[]> {
	return Promise.all([0, 1, 2].map(() => startTestServer(t, '--relay', url, '--log-level', 'info', ...flags)));
}

/** The slot of a path's channel, with the prefix that --relay-prefix has by itself. */
export function slotOfPath(path: string): number {
	return slotOf(Buffer.from(`pathcast:${path}`));
}

/** The first paths whose slots are as wanted. */
export function pathsWhere(isWanted: (slot: number) => boolean, count: number): string[] {
	const paths: string[] = [];
	for (let i = 0; paths.length < count; i++) if (isWanted(slotOfPath(`/room/${i}`))) paths.push(`/room/${i}`);
	return paths;
}

/** What /readyz answers: the status, and the reason. */
export async function readiness(node: TestServer): Promise<string> {
	const { status, body } = await request(node.operatorPort, { path: '/readyz' });
	return `${status} ${body.trim()}`;
}

export async function areReady(nodes: readonly TestServer[]): Promise<void> {
	for (const node of nodes) await becomes(async () => (await readiness(node)).startsWith('200'));
}
