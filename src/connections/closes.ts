// The closes that connections of every kind may meet.
import type { Close } from '../pubsub/close.js';

export const closes = {
	stopping: { cause: 'stopping', reason: 'the server is restarting; connect again' },
	moved: { cause: 'moved', reason: 'connections are being moved; connect again' },
	age: { cause: 'age', reason: 'the connection has reached --max-age; connect again' },
	expired: { cause: 'expired', reason: 'authorisation expired' },
	sessionClosed: { cause: 'operator', reason: 'the session was closed' },
	channelClosed: { cause: 'operator', reason: 'the channel was closed' },
	missed: { cause: 'relay', reason: 'the relay was lost, and messages may be missed; connect again' },
	unpublished: { cause: 'relay', reason: 'the relay was lost, and this message may not be published; connect again' },
	failed: { cause: 'fault', reason: 'the server failed to handle this connection; its log says why' },
} as const satisfies Record<string, Close>;
