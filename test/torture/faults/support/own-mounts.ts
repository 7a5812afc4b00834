// File systems that one process alone sees. Root's rights are needed for them; with --map-root-user any user has them in a namespace of its own.
import { spawnSync } from 'node:child_process';
import { needs } from '../../../support/requirement.js';

export const ownMounts = ['--mount', '--map-root-user', 'sh', '-c'];

/** The `skip` option of a row that needs them. */
export function needsOwnMounts(): string | false {
	const { skip } = needs('unshare', '/usr/bin/unshare');
	if (skip !== false) return skip;
	const isAllowed = process.env.TEST_REQUIRE_ALL === '1' || spawnSync('unshare', [...ownMounts, 'true']).status === 0;
	return isAllowed ? false : 'this system lets nobody make mounts of its own';
}
