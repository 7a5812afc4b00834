// What one load process is told to do, and what it answers: both travel as JSON between processes.

export type DialectName = 'websocket' | 'mqtt' | 'nats' | 'event-stream' | 'groups' | 'socket.io';

/** Where to send the load, and which processes serve it. */
export type Target = {
	readonly host: string;
	readonly port: number;
	readonly isTls: boolean;
	readonly dialect: DialectName;
	/** Begins every channel's path, so that runs against one server that stays up do not meet. */
	readonly pathPrefix: string;
	/** The server's processes, for their CPU and memory; empty if they are not on this machine. */
	readonly pids: readonly number[];
	/** The ports of more nodes, where several serve the same channels: the subscribers of a channel take turns among all. */
	readonly otherPorts?: readonly number[];
	/** The Redis that connects the nodes. Its CPU and its memory are told apart from theirs. */
	readonly relay?: { readonly pid: number; readonly port: number };
};

/**
 * Messages to subscribers. Each has a connection of its own, but in the dialect `groups`: there a connection subscribes to every channel,
 * ten at the most. Publishers are among the subscribers, or connections that POST. Closed loop: each publisher
 * in turn sends a burst of `window` messages in one write and goes on when every subscriber has the last of them, or for `post` when
 * the answer is here. A `pipelined-post` sends the burst as so many requests and goes on as a websocket does. With `burstsPerSecond` it sends whether or not the last burst has arrived.
 */
export type Traffic = {
	readonly kind: 'traffic';
	readonly channels: number;
	readonly subscribersPerChannel: number;
	readonly publishersPerChannel: number;
	/** How many publishers send at a time; when one is done, the one that has rested longest goes on. */
	readonly publishersAtOnce: number;
	readonly by: 'websocket' | 'post' | 'pipelined-post';
	readonly window: number;
	readonly burstsPerSecond?: number;
	readonly payloadBytes: number;
};

/** Handshakes: `count` websockets are opened, `atOnce` at a time, then dropped, again and again. */
export type Connects = { readonly kind: 'connects'; readonly count: number; readonly atOnce: number };

/** Visits: connect, send a message, read it back, close with a handshake; `atOnce` at a time. */
export type Churn = { readonly kind: 'churn'; readonly atOnce: number };

/** Memory: `base` subscribers, then `count` more, each with a channel of its own; the difference is told. */
export type Idle = { readonly kind: 'idle'; readonly base: number; readonly count: number };

/** Many channels on few connections: `base` channels, then `count` more, `perConnection` on each. The time to open them, and their memory. */
export type Hold = { readonly kind: 'hold'; readonly base: number; readonly count: number; readonly perConnection: number };

/** Subscribers of the first channel that stop reading at once, until the process is ended. They may be cut. */
export type Stalled = { readonly kind: 'stalled'; readonly count: number };

export type Work = Traffic | Connects | Churn | Idle | Hold | Stalled;

export type Job = { readonly target: Target; readonly work: Work; readonly warmUpMs: number; readonly measureMs: number };

/** Milliseconds from the write to the arrival at a subscriber. */
export type Latency = { readonly p50: number; readonly p99: number; readonly p999: number };

export type Measurement = {
	/** Deliveries, handshakes, visits, or bytes per connection or channel. */
	readonly amount: number;
	readonly wallSeconds: number;
	/** CPU time of the server's processes; 0 if they are not known. */
	readonly serverCpuSeconds: number;
	/** CPU time of this load process as a share of the wall-clock time. */
	readonly loadCpuShare: number;
	readonly latency?: Latency;
	/** CPU time of the Redis that connects the nodes, where there is one. */
	readonly relayCpuSeconds?: number;
	/** What each channel adds to the memory of that Redis, where memory is the question. */
	readonly relayBytes?: number;
	/** How many channels were opened in a second of wall-clock time. */
	readonly openedPerSecond?: number;
};

/** `measuring` is sent when the warm-up is over; then one of the others, once. */
export type Report =
	| { readonly kind: 'measuring' }
	| { readonly kind: 'done'; readonly measurement: Measurement }
	| { readonly kind: 'failed'; readonly reason: string };
