// A proxy in front of nodes: the real program, with a file of deploy/.
import type { Ports } from './nodes.js';

export type Front = {
	/** Where it speaks TLS, on 127.0.0.1. */
	readonly port: number;
	/** Before planned restarts, as the file says: from then on no channel moves because its node does not answer. */
	hold(): Promise<void>;
	/** After them. */
	release(): Promise<void>;
	/** Takes a node out of the ring for good, and puts it back, as the file says. */
	takeOut(node: Ports): Promise<void>;
	putBack(node: Ports): Promise<void>;
	/** Resolves when it knows that this node is gone, or back, or is to get nothing new. */
	sees(node: Ports, state: 'down' | 'up' | 'stopping'): Promise<void>;
};
