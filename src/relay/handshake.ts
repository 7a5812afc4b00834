// Checks a server of Redis or Valkey before it serves: its version, its role, and the rights that it gives to this server.
import type { Redis } from 'ioredis';
import { publishScript } from './publish-command.js';

/** The mode and the role that a server reports. */
export type ServerState = {
	readonly mode: 'standalone' | 'cluster' | 'sentinel';
	readonly isMaster: boolean;
};

/** Why a server cannot serve as the relay, as one line with the remedy. Another attempt fails too, until the operator has changed something. */
export class RelayRefused extends Error {}

/** Throws a RelayRefused, or the error of the server, if it cannot serve. */
export async function checkServer(redis: Redis, probe: string): Promise<ServerState> {
	const state = readState(await redis.call('HELLO'));
	if (state.mode === 'standalone' && !state.isMaster)
		throw new RelayRefused('it is a replica: name its master, or its Sentinels.');
	if (state.isMaster) await redis.eval(publishScript, 0);
	await checkRights(redis, probe);
	return state;
}

/** The answer to HELLO is a list of names and values. */
function readState(answer: unknown): ServerState {
	const list = Array.isArray(answer) ? answer.map(String) : [];
	const fieldOf = (name: string) => list[list.indexOf(name) + 1] ?? '';
	const version = list.includes('version') ? fieldOf('version') : '';
	if (!/^\d/.test(version)) throw new Error('it answers HELLO as no Redis and no Valkey does');
	if (Number.parseInt(version, 10) < 7) throw new RelayRefused(tooOld(`it is version ${version}`));
	const mode = fieldOf('mode') as ServerState['mode'];
	if (mode === 'sentinel')
		throw new RelayRefused('it is a Sentinel: write redis+sentinel://host:26379/name, with the name of its master.');
	return { mode, isMaster: fieldOf('role') === 'master' };
}

/** Throws the error of the server if its user lacks a right that a relay needs. */
async function checkRights(redis: Redis, probe: string): Promise<void> {
	const commands = [
		() => redis.eval(publishScript, 0, probe, ''),
		() => redis.call('PUBSUB', 'SHARDNUMSUB', probe),
		() => redis.ping(),
		() => redis.ssubscribe(probe),
		() => redis.sunsubscribe(probe),
	];
	for (const command of commands) {
		await command().catch((error: Error) => {
			// In a cluster, the channel may belong to another server.
			if (isForbidden(error)) throw error;
		});
	}
}

function isForbidden({ message }: Error): boolean {
	return /NOPERM|ACL failure|can't (run|publish|access)/.test(message);
}

function tooOld(what: string): string {
	return `${what}: sharded pub/sub needs Redis 7 or newer, or Valkey.`;
}

// Longer than any error of Redis.
const errorLengthMax = 300;

/** The error of a server, as the log may show it: its text may be of any length, and repeat the password. */
export function shownError(error: Error, password: string | undefined): Error {
	const { message } = error;
	const open = password === undefined ? message : message.replaceAll(password, '***');
	error.message = open.length > errorLengthMax ? `${open.slice(0, errorLengthMax)}…` : open;
	return error;
}

/** The refusal, with the remedy, if the operator has to change something; else the error itself. */
export function refusalOf(error: Error): Error {
	const { message } = error;
	if (/^(WRONGPASS|NOAUTH)|invalid password/.test(message))
		return new RelayRefused(`it does not take this user and password (${message}): see --relay and --relay-password-file.`);
	if (isForbidden(error)) return new RelayRefused(`its user may not do that (${message}): docs/scaling.md has the ACL.`);
	if (/NOPROTO|unknown command.*HELLO/i.test(message)) return new RelayRefused(tooOld('it knows no RESP3'));
	return error;
}
