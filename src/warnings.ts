// Warnings at the start of a server: options that let in more than the operator may expect.
import { isOpaque } from './http/origin.js';
import type { Log } from './observe/log.js';
import type { Options } from './options/table.js';

const opaqueOriginWarnings = {
	null: '--origin null lets in every sandboxed page, whoever made it: any site can show one',
	'file://': '--origin file:// lets in every page that is opened from a file, whoever made it',
};

/** Warns of options that let in more than the operator may expect. */
export function warnOfOptions({ auth, origin }: Options, log: Log): void {
	if (auth !== undefined && origin.length === 0) {
		log.warn({ event: 'origin' }, '--auth without --origin: pages of every site can enter with the cookies of their visitors');
	}
	for (const rule of origin.filter((rule) => typeof rule === 'string').filter(isOpaque)) {
		log.warn({ event: 'origin', setting: rule }, opaqueOriginWarnings[rule]);
	}
}
