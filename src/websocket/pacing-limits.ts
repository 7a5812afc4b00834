// What the engine's fan-out can bear, as measured.
import type { PacingLimits } from '../pubsub/pacing.js';

// At the 32nd message queued for one subscriber in one tick the engine flushes at once, and inside a handler that is one system call
// per message: a factor of 6 to 12 under bursts on uWebSockets.js 20.30, 4 to 9 on 20.57. Outside a handler one call takes many messages.
const batchMessages = 32;
// Thirty stay below that. Deferring every message would cost small channels a third, limits of 1 to 4 a half.
const directPerTickMax = 30;
// About a twentieth of a second's work for the engine.
const deliveriesPerTickMax = 200_000;
// Without a rest, a burst of 16 x 16 x 64 KiB cut readers in 9 runs of 10, with 10 ms in 1 of 10. By default a channel then sends each
// subscriber 100 MB/s at the most.
const restMs = 10;

export function pacingLimits(maxBacklog: number, isTls: boolean): PacingLimits {
	return {
		// Over TLS the engine (20.30 and 20.57) loses what it has read and not yet decrypted when a handler writes much to other sockets.
		directPerTickMax: isTls ? 0 : directPerTickMax,
		batchMessages,
		deliveriesPerTickMax,
		unreadBytesMax: maxBacklog,
		restMs,
	};
}
