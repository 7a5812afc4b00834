// Says goodbye to many websockets without holding up the loop.
import type { Socket } from '../engine.js';

// 200 to a tick kept every tick under 7 ms with 4,000 clients (shared/ENGINE.md, "Listening and stopping").
const closesPerTick = 200;

/** Closes every websocket of the set with one code and reason, and resolves when each has been sent its close frame. */
export async function closeAll<UserData>(sockets: Set<Socket<UserData>>, code: number, reason: string): Promise<void> {
	while (sockets.size > 0) {
		let closed = 0;
		for (const ws of sockets) {
			// The close handler takes it out of the set.
			ws.end(code, reason);
			if (++closed === closesPerTick) break;
		}
		await new Promise(setImmediate);
	}
}
