// All connections that are open.
import { Places } from '../pubsub/places.js';
import type { Connection } from './connection.js';

export class Connections extends Places<Connection> {
	#lastId = 0;

	/** The id of the connection that was let in last. */
	get lastId(): number {
		return this.#lastId;
	}

	/** The id of a connection that is let in now. */
	newId(): number {
		return ++this.#lastId;
	}
}
