// What a throw does to the websocket that it was about.
import type { Events } from '../observe/events.js';
import { closes } from './closes.js';
import type { Connection } from './connection.js';

/** Tells of a throw, and closes its websocket: the process must not end. */
export function closeAfterThrow(events: Pick<Events, 'fault'>, connection: Pick<Connection, 'end'>, error: unknown): void {
	events.fault(error, {}, 'A handler threw; its websocket is closed with 1011, and the server goes on.');
	try {
		connection.end(closes.failed);
	} catch {
		// The engine throws if the websocket is closed already.
	}
}
