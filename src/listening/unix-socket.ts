// The file of a UNIX socket. The engine deletes whatever is at its path, so we look first; and it leaves its own behind.
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { StartError } from '../start-error.js';

/** Makes sure that nothing is lost by listening at this path. Throws a StartError if it is in use or no socket. */
export async function checkSocketPath(path: string): Promise<void> {
	const file = lstatSync(path, { throwIfNoEntry: false });
	if (file === undefined) return;
	if (!file.isSocket())
		throw new StartError(`--addr: ${path} exists and is no socket; nothing was deleted. Remove it, or choose another path.`);
	const code = await connectError(path);
	if (code === undefined) throw new StartError(`--addr: a server listens at ${path}; stop it, or choose another path.`);
	// A socket file that refuses connections was left behind by a server that was killed.
	if (code !== 'ECONNREFUSED')
		throw new StartError(`--addr: ${path} cannot be examined (${code}); remove it, or choose another path.`);
}

async function connectError(path: string): Promise<string | undefined> {
	const probe = connect(path);
	return new Promise((resolve) => {
		probe.once('connect', () => {
			probe.destroy();
			resolve(undefined);
		});
		probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
	});
}

/** Gives our socket its permissions, and a way to remove it that spares what another server has put in its place since. */
export function ownSocketFile(path: string, mode: number): { isReplaced(): boolean; remove(): void } {
	chmodSync(path, mode);
	const inode = lstatSync(path).ino;
	const inodeNow = () => lstatSync(path, { throwIfNoEntry: false })?.ino;
	return {
		isReplaced: () => ![inode, undefined].includes(inodeNow()),
		remove() {
			if (inodeNow() === inode) unlinkSync(path);
		},
	};
}
