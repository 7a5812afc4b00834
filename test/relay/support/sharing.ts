// Servers that share a relay, and what Redis says of their subscriptions.
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { request } from '../../support/http.js';
import type { RedisProcess } from '../../support/redis.js';
import { startTestServer, type TestServer } from '../../support/server.js';

/** Starts so many servers with the same flags. */
export async function startSharing<Count extends 1 | 2 | 3>(
	t: TestContext,
	redis: Pick<RedisProcess, 'url'>,
	count: Count,
	...flags: string[]
): Promise<[TestServer, TestServer, TestServer]> {
	const servers: TestServer[] = [];
	while (servers.length < count) servers.push(await startTestServer(t, '--relay', redis.url, ...flags));
	return servers as [TestServer, TestServer, TestServer];
}

/** How many clients of Redis are subscribed to a channel of the default prefix. */
export async function subscriptions(redis: RedisProcess, name: string): Promise<number> {
	const [, count] = (await redis.run('PUBSUB', 'SHARDNUMSUB', `pathcast:${name}`)) as [string, number];
	return count;
}

/** Resolves when so many clients of Redis are subscribed to a channel. */
export async function subscriptionsBecome(redis: RedisProcess, name: string, count: number): Promise<void> {
	while ((await subscriptions(redis, name)) !== count);
}

/** How often a channel has been subscribed to, since Redis has started. */
export async function subscribesOf(redis: RedisProcess): Promise<number> {
	const stats = String(await redis.run('INFO', 'commandstats'));
	return Number(/cmdstat_ssubscribe:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

/** Stops Redis, and resolves when it has stopped. Gives the function that lets it go on. */
export async function freeze(redis: RedisProcess): Promise<() => void> {
	const [, pid] = /process_id:(\d+)/.exec(String(await redis.run('INFO', 'server'))) ?? [];
	redis.signal('SIGSTOP');
	// The state stands after the name of the program, which is in parentheses.
	while (!/\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
	return () => redis.signal('SIGCONT');
}

/** What /readyz says, with its status. */
export async function readiness({ operatorPort }: Pick<TestServer, 'operatorPort'>): Promise<[status: number, text: string]> {
	const { status, body } = await request(operatorPort, { path: '/readyz' });
	return [status, body.trim()];
}

/** Resolves when /readyz has that status. */
export async function readinessBecomes(server: Pick<TestServer, 'operatorPort'>, status: number): Promise<void> {
	while ((await readiness(server))[0] !== status);
}
