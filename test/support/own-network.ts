// A network namespace for one command, with a loopback only: its kernel settings hold there alone, and end with it.
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { needs } from './requirement.js';

// Setting up a network takes root's rights. With --map-root-user any user has them, inside that network alone.
const ownNetwork = ['--net', '--map-root-user', 'sh', '-c'];

/** Runs a line of shell in a network of its own, and gives its standard output. */
export async function inOwnNetwork(line: string): Promise<string> {
	// Else the inner tests would report to the outer runner, in its binary format.
	const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
	const { stdout } = await promisify(execFile)('unshare', [...ownNetwork, `ip link set lo up && ${line}`], { env });
	return stdout;
}

export function needsOwnNetwork(): { skip: string | false } {
	for (const [program, path] of Object.entries({
		unshare: '/usr/bin/unshare',
		sysctl: '/usr/sbin/sysctl',
		ip: '/usr/sbin/ip',
		ss: '/usr/bin/ss',
	})) {
		const need = needs(program, path);
		if (need.skip !== false) return need;
	}
	const isAllowed = process.env.TEST_REQUIRE_ALL === '1' || spawnSync('unshare', [...ownNetwork, 'true']).status === 0;
	return { skip: isAllowed ? false : 'this system lets nobody make a network of its own' };
}
