// A server in this process, on free ports, with its log in memory.
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { readOptions } from '#src/options/reading.js';
import { startServer } from '#src/server.js';
import { request } from './http.js';

export type TestServer = {
	readonly port: number;
	readonly operatorPort: number;
	/** Every line of the log so far, parsed. */
	readonly log: Record<string, unknown>[];
	/** The address of a path, to open a websocket on. */
	ws(path: string): string;
	stop(): Promise<void>;
};

/** Starts a server with these flags, and stops it after the test. */
export async function startTestServer(t: TestContext, ...flags: string[]): Promise<TestServer> {
	// Many websockets would hold up the end of their test for the time that --drain gives them.
	const always = ['--addr', '127.0.0.1:0', '--mport', '0', '--log-level', 'debug', '--drain', '0s'];
	const options = readOptions([...always, ...flags], {}, 'test');
	if ('text' in options) throw new Error('these flags print something and start nothing');
	const log: Record<string, unknown>[] = [];
	const server = await startServer(options, pino({ level: options.logLevel }, { write: (line) => log.push(JSON.parse(line)) }));
	t.after(() => server.stop());
	const port = 'port' in server.address ? server.address.port : 0;
	return {
		port,
		operatorPort: server.operatorAddress?.port ?? 0,
		log,
		ws: (path) => `ws://127.0.0.1:${port}${path}`,
		stop: () => server.stop(),
	};
}

/** The value of one metric with its labels, as in `pathcast_messages_received_total{source="post"}`. */
export function metric(server: TestServer, name: string): Promise<number> {
	return metricOf(server.operatorPort, name);
}

/** Resolves when a metric has that value. */
export async function metricBecomes(server: TestServer, name: string, value: number): Promise<void> {
	while ((await metric(server, name)) !== value);
}

export async function metricOf(operatorPort: number, name: string): Promise<number> {
	const { body: text } = await request(operatorPort, { path: '/metrics' });
	const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
	if (line === undefined) throw new Error(`no metric ${name}`);
	return Number(line.slice(name.length + 1));
}
