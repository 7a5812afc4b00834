// File descriptors: how many websockets they leave room for, and what to do when there are none left.
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { type Log, rateLimited } from '../observe/log.js';
import type { Listener } from './listen.js';

// For requests, their answers of 503 included, the operator's listener, logs, and what Node itself holds (about 25).
const reserveMax = 1_000;
// An operator who sets no number expects at least this many; every system in use today can allow it.
const connectionsExpected = 10_000;

/**
 * How many websockets there may be: as many as are asked for, and never more than the file descriptors allow; 0 asks for all of these.
 * Beyond them no connection could be accepted, not even to refuse it. `toServices` are those that the hooks take. Warns if the number is
 * lower than an operator may expect.
 */
export function connectionLimit(asked: number, openFilesMax: number, toServices: number, log: Log): number {
	const reserve = Math.min(reserveMax, Math.floor(openFilesMax / 4));
	const allowed = Math.max(1, openFilesMax - reserve - toServices);
	const cause = `ulimit -n is ${openFilesMax}, which allows ${allowed} websockets`;
	const remedy = 'raise it (in systemd, LimitNOFILE=) for more';
	if (asked > allowed) {
		log.warn({ event: 'limits', connectionsMax: allowed }, `${cause}, not the --max-connections of ${asked}: ${remedy}`);
	} else if (asked === 0 && allowed < connectionsExpected) {
		log.warn({ event: 'limits', connectionsMax: allowed }, `${cause}: ${remedy}`);
	}
	return asked === 0 ? allowed : Math.min(asked, allowed);
}

// While accepting fails, the engine tries again at once, which takes all of a core: for this long at the most.
const checkMs = 200;
// With fewer free descriptors, they would be used up at once.
const freeToResume = 16;
const logMs = 10_000;

/**
 * Pauses the listener while the process has no file descriptor left, whatever uses them; the system refuses new connections meanwhile.
 * Gives a way to stop the listener and the pausing.
 */
export function pausedWithoutDescriptors(listener: Listener, log: Log): Pick<Listener, 'address' | 'stop'> {
	let isPaused = false;
	const logPaused = rateLimited(logMs, (leftOut) =>
		log.error({ event: 'limits', leftOut }, 'no file descriptor is left: no connection is accepted until some are free'),
	);
	const logResumed = rateLimited(logMs, (leftOut) => log.info({ event: 'limits', leftOut }, 'connections are accepted again'));
	const logTaken = rateLimited(logMs, (leftOut) =>
		log.error({ event: 'limits', leftOut }, 'the address cannot be had again: does another server listen there now?'),
	);
	const timer = setInterval(() => {
		if (!isPaused && !areFree(1)) {
			isPaused = true;
			listener.pause();
			// Without a listener and connections, this timer must not keep the process alive.
			timer.ref();
			logPaused();
		} else if (isPaused && areFree(freeToResume)) {
			isPaused = !listener.resume();
			if (isPaused) {
				logTaken();
			} else {
				timer.unref();
				logResumed();
			}
		}
	}, checkMs).unref();
	return {
		address: listener.address,
		stop() {
			clearInterval(timer);
			listener.stop();
		},
	};
}

/** Whether so many files could be opened now, found out by doing so. */
function areFree(count: number): boolean {
	const opened: number[] = [];
	try {
		while (opened.length < count) opened.push(openSync(devNull, 'r'));
	} catch (error) {
		// EMFILE is our limit, ENFILE the system's. Anything else says nothing about them.
		return !['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '');
	} finally {
		for (const descriptor of opened) closeSync(descriptor);
	}
	return true;
}
