// What is measured, and the question that each measurement answers. README.md lists them; a test holds it to this list.
import type { Stalled, Traffic, Work } from './load/job.js';

export type Scenario = {
	readonly id: string;
	readonly question: string;
	/** What is counted. */
	readonly unit: 'deliveries' | 'handshakes' | 'visits' | 'bytes per connection' | 'bytes per channel';
	/** What decides: work per second of the server's CPU, the 99th percentile of the latency, or memory. */
	readonly decides: 'cpu' | 'p99' | 'memory';
	readonly isTls?: boolean;
	/** Whether the subscribers are event streams instead of websockets. */
	readonly isOverStreams?: boolean;
	/** Whether clients with several channels are compared: with a websocket for each channel, or one for all. */
	readonly isOfGroups?: boolean;
	/** Whether the peers are nodes that share their channels over a Redis. */
	readonly isRelayed?: boolean;
	readonly work: Work;
	/** How long to measure, if that is not a matter of taste. */
	readonly seconds?: number;
	/** How long to send before, if more than half a second: the engine compiles what runs often, which a lone message at a time does late. */
	readonly warmUpSeconds?: number;
	/** Runs on the same server at the same time, from a second load process, and is not what is reported. */
	readonly beside?: Traffic | Stalled;
	/** The same in small, for --quick; left out there if there is none. */
	readonly quick?: Work;
};

const burst: Traffic = {
	kind: 'traffic',
	channels: 1,
	subscribersPerChannel: 1_000,
	publishersPerChannel: 1,
	publishersAtOnce: 1,
	by: 'websocket',
	window: 64,
	payloadBytes: 64,
};
const oneByOne: Traffic = { ...burst, window: 1 };
const streamBurst: Traffic = { ...burst, by: 'pipelined-post' };
const streamOneByOne: Traffic = { ...streamBurst, window: 1 };
const many: Traffic = { ...burst, channels: 5_000, subscribersPerChannel: 2, publishersAtOnce: 100 };
const groupsBurst: Traffic = { ...streamBurst, channels: 5, publishersAtOnce: 5 };
const post: Traffic = { ...oneByOne, by: 'post', subscribersPerChannel: 10, publishersPerChannel: 64, publishersAtOnce: 64 };
const probe: Traffic = { ...oneByOne, channels: 1, subscribersPerChannel: 1, burstsPerSecond: 500 };

const burstsTo = (subscribersPerChannel: number, quick?: Traffic): Scenario => ({
	id: `burst-${subscribersPerChannel}`,
	question: `One publisher sends bursts of 64 messages to ${count(subscribersPerChannel)}: what does a delivery cost when there is a lot to say?`,
	unit: 'deliveries',
	decides: 'cpu',
	work: { ...burst, subscribersPerChannel },
	...(quick && { quick }),
});

const singlesTo = (subscribersPerChannel: number, quick?: Traffic): Scenario => ({
	id: `single-${subscribersPerChannel}`,
	question: `One message at a time to ${count(subscribersPerChannel)}: what does a delivery cost when nothing can be batched?`,
	unit: 'deliveries',
	decides: 'cpu',
	work: { ...oneByOne, subscribersPerChannel },
	...(quick && { quick }),
});

const sized = (id: string, name: string, payloadBytes: number, quick?: Traffic): Scenario => ({
	id,
	question: `Messages of ${name} in bursts of 16 to 100 subscribers: what does a delivery cost when bytes weigh more than messages?`,
	unit: 'deliveries',
	decides: 'cpu',
	work: { ...burst, subscribersPerChannel: 100, window: 16, payloadBytes },
	...(quick && { quick }),
});

const beside = (id: string, question: string, subscribersPerChannel: number): Scenario => ({
	id,
	question,
	unit: 'deliveries',
	decides: 'p99',
	work: probe,
	beside: { ...burst, subscribersPerChannel, burstsPerSecond: 10 },
});

// Ten seconds: those who do not read are cut after some eight, when what the system and --max-backlog hold for them is full.
const healthy = (id: string, question: string, stalled: number): Scenario => ({
	id,
	question,
	unit: 'deliveries',
	decides: 'p99',
	seconds: 10,
	work: { ...oneByOne, subscribersPerChannel: 1_000, payloadBytes: 65_536, burstsPerSecond: 20 },
	...(stalled > 0 && { beside: { kind: 'stalled', count: stalled } }),
});

// Half a minute: those who have stopped are cut after some ten seconds, or with the system's own settings after twenty.
const crowd = (id: string, question: string, stopped: number): Scenario => ({
	id,
	question,
	unit: 'deliveries',
	decides: 'p99',
	seconds: 30,
	work: { ...oneByOne, subscribersPerChannel: 2_000 - stopped, payloadBytes: 65_536, burstsPerSecond: 4 },
	...(stopped > 0 && { beside: { kind: 'stalled', count: stopped } }),
});

// A thousand channels on each websocket, as --max-groups allows.
const hold = (id: string, name: string, channels: number, quick?: Work): Scenario => ({
	id,
	question: `${name} silent channels of one subscriber each, 1,000 on a websocket: how much memory does each add, and how fast are they opened?`,
	unit: 'bytes per channel',
	decides: 'memory',
	// The longest that it may take.
	seconds: channels / 2_000,
	isRelayed: true,
	work: { kind: 'hold', base: 20_000, count: channels, perConnection: 1_000 },
	...(quick && { quick }),
});

function count(subscribers: number): string {
	return subscribers === 1 ? 'itself alone' : `${subscribers.toLocaleString('en')} subscribers`;
}

export const scenarios: readonly Scenario[] = [
	burstsTo(1),
	burstsTo(10),
	burstsTo(100, { ...burst, subscribersPerChannel: 100 }),
	burstsTo(1_000),
	burstsTo(10_000),
	singlesTo(1, { ...oneByOne, subscribersPerChannel: 1 }),
	singlesTo(10),
	singlesTo(100),
	singlesTo(1_000),
	singlesTo(10_000),
	{
		id: 'publishers-16',
		question:
			'16 publishers at once, 16 messages each, to 1,000 subscribers of one channel: what does it cost to bring many into one order?',
		unit: 'deliveries',
		decides: 'cpu',
		work: { ...burst, publishersPerChannel: 16, publishersAtOnce: 16, window: 16 },
		quick: { ...burst, subscribersPerChannel: 50, publishersPerChannel: 16, publishersAtOnce: 16, window: 16 },
	},
	sized('size-1k', '1 KiB', 1_024),
	sized('size-16k', '16 KiB', 16_384, { ...burst, subscribersPerChannel: 20, window: 16, payloadBytes: 16_384 }),
	sized('size-64k', '64 KiB', 65_536),
	{
		id: 'stampede',
		question:
			'16 publishers, each with 16 messages of 64 KiB in one write, to 16 subscribers: does every reader that keeps up survive 16 MiB at once?',
		unit: 'deliveries',
		decides: 'cpu',
		work: {
			...burst,
			subscribersPerChannel: 16,
			publishersPerChannel: 16,
			publishersAtOnce: 16,
			window: 16,
			payloadBytes: 65_536,
		},
	},
	{
		id: 'channels-burst',
		question: '5,000 channels of 2 subscribers, 100 of them publishing bursts of 64 at a time: what do many small rooms cost?',
		unit: 'deliveries',
		decides: 'cpu',
		work: many,
		quick: { ...many, channels: 200 },
	},
	{
		id: 'channels-single',
		question:
			'5,000 channels of 2 subscribers, 100 of them publishing one message at a time: what does a quiet conversation cost?',
		unit: 'deliveries',
		decides: 'cpu',
		work: { ...many, window: 1 },
	},
	{
		id: 'groups-burst',
		question:
			'1,000 clients on the same 5 channels, to each of which a connection POSTs bursts of 64 messages: what do five channels on one websocket cost, against a websocket for each?',
		unit: 'deliveries',
		decides: 'cpu',
		isOfGroups: true,
		work: groupsBurst,
		quick: { ...groupsBurst, subscribersPerChannel: 50 },
	},
	{
		id: 'groups-short',
		question:
			'The same in bursts of 20, too short for a channel to defer by itself: what do five of them at once cost one websocket?',
		unit: 'deliveries',
		decides: 'cpu',
		isOfGroups: true,
		work: { ...groupsBurst, window: 20 },
	},
	{
		id: 'post-64',
		question:
			'64 keep-alive connections POST to a channel of 10 subscribers, each as soon as it is answered: what does a publish by HTTP cost?',
		unit: 'deliveries',
		decides: 'cpu',
		work: post,
		quick: post,
	},
	{
		id: 'post-16',
		question:
			'16 keep-alive connections POST to a channel of 10 subscribers, each as soon as it is answered: what is left of the engine, and of which one?',
		unit: 'deliveries',
		decides: 'cpu',
		work: { ...post, publishersPerChannel: 16, publishersAtOnce: 16 },
		quick: { ...post, publishersPerChannel: 16, publishersAtOnce: 16 },
	},
	{
		id: 'post-1',
		question: 'One keep-alive connection POSTs to a channel of 2 subscribers in a closed loop: what does a lone publisher get?',
		unit: 'deliveries',
		decides: 'cpu',
		work: { ...post, subscribersPerChannel: 2, publishersPerChannel: 1, publishersAtOnce: 1 },
	},
	{
		id: 'rate-100',
		question: '100 messages a second to 1,000 subscribers: how long does a delivery take at an easy pace?',
		unit: 'deliveries',
		decides: 'p99',
		work: { ...oneByOne, burstsPerSecond: 100 },
		quick: { ...oneByOne, subscribersPerChannel: 50, burstsPerSecond: 100 },
	},
	{
		id: 'rate-1000',
		question:
			'1,000 messages a second to 1,000 subscribers, more than one system call each allows: how long does a delivery take under pressure?',
		unit: 'deliveries',
		decides: 'p99',
		work: { ...oneByOne, burstsPerSecond: 1_000 },
	},
	{
		id: 'neighbour-quiet',
		question: 'An echo on one channel, 500 a second, with nothing else to do: the p99 to compare the next one with.',
		unit: 'deliveries',
		decides: 'p99',
		work: probe,
	},
	beside(
		'neighbour-loud',
		'The same echo while another channel gets a burst of 64 messages for 100 subscribers ten times a second: what does a neighbour notice?',
		100,
	),
	beside('neighbour-crowd', 'The same, for 1,000 subscribers: a tenth of the time goes to the neighbour.', 1_000),
	healthy('stalled-0', '64 KiB messages, 20 a second, to 1,000 subscribers that read: the p99 to compare the next one with.', 0),
	healthy(
		'stalled-100',
		'The same beside 100 subscribers of the same channel that have stopped reading: what do they cost the others?',
		100,
	),
	crowd('crowd-0', '64 KiB messages, 4 a second, to 2,000 subscribers that read: the p99 to compare the next one with.', 0),
	crowd('crowd-500', 'The same when 500 of the 2,000 have stopped reading: what does it cost the others?', 500),
	{
		id: 'connects',
		question: 'Handshakes, 100 at a time, until 5,000 websockets are open: what does a storm of reconnecting clients cost?',
		unit: 'handshakes',
		decides: 'cpu',
		work: { kind: 'connects', count: 5_000, atOnce: 100 },
		quick: { kind: 'connects', count: 200, atOnce: 50 },
	},
	{
		id: 'churn',
		question: '64 clients connect to new channels, exchange a message, close, and come again: what does a short visit cost?',
		unit: 'visits',
		decides: 'cpu',
		work: { kind: 'churn', atOnce: 64 },
		quick: { kind: 'churn', atOnce: 16 },
	},
	{
		id: 'idle',
		question: '15,000 idle websockets, each on a channel of its own: how much memory does each of the last 10,000 add?',
		unit: 'bytes per connection',
		decides: 'memory',
		work: { kind: 'idle', base: 5_000, count: 10_000 },
		quick: { kind: 'idle', base: 500, count: 3_000 },
	},
	{
		id: 'tls-burst',
		question: 'Bursts of 64 messages to 100 subscribers over TLS: what does encryption leave of the speed?',
		unit: 'deliveries',
		decides: 'cpu',
		isTls: true,
		work: { ...burst, subscribersPerChannel: 100 },
		quick: { ...burst, subscribersPerChannel: 10 },
	},
	{
		id: 'tls-single',
		question: 'One message at a time to 100 subscribers over TLS.',
		unit: 'deliveries',
		decides: 'cpu',
		isTls: true,
		work: { ...oneByOne, subscribersPerChannel: 100 },
	},
	{
		id: 'sse-burst',
		question:
			'One connection POSTs bursts of 64 messages, each burst in one write, to 1,000 event streams: what does a delivery cost over HTTP?',
		unit: 'deliveries',
		decides: 'cpu',
		isOverStreams: true,
		work: streamBurst,
		quick: { ...streamBurst, subscribersPerChannel: 50 },
	},
	{
		id: 'sse-single',
		question:
			'One connection POSTs one message at a time to 1,000 event streams: what does a delivery over HTTP cost when nothing can be batched?',
		unit: 'deliveries',
		decides: 'cpu',
		isOverStreams: true,
		work: streamOneByOne,
		quick: { ...streamOneByOne, subscribersPerChannel: 50 },
	},
	{
		id: 'sse-idle',
		question: '15,000 idle event streams, each on a channel of its own: how much memory does each of the last 10,000 add?',
		unit: 'bytes per connection',
		decides: 'memory',
		isOverStreams: true,
		work: { kind: 'idle', base: 5_000, count: 10_000 },
		quick: { kind: 'idle', base: 500, count: 1_000 },
	},
	{
		id: 'relay-burst',
		question:
			'One publisher sends bursts of 64 messages to 1,000 subscribers of one channel on two nodes that share a Redis: what does a delivery cost?',
		unit: 'deliveries',
		decides: 'cpu',
		isRelayed: true,
		work: burst,
		quick: { ...burst, subscribersPerChannel: 50 },
	},
	{
		id: 'relay-single',
		question:
			'One message at a time from a client to itself and to a client of the other node: what does a message cost, and how long does it take?',
		unit: 'deliveries',
		decides: 'cpu',
		isRelayed: true,
		warmUpSeconds: 5,
		work: { ...oneByOne, subscribersPerChannel: 2 },
		quick: { ...oneByOne, subscribersPerChannel: 2 },
	},
	{
		id: 'relay-channels',
		question:
			'5,000 channels with a subscriber on each of two nodes, 100 of them publishing one message at a time: what do many small rooms cost?',
		unit: 'deliveries',
		decides: 'cpu',
		isRelayed: true,
		warmUpSeconds: 5,
		work: { ...many, window: 1 },
		quick: { ...many, channels: 200, window: 1 },
	},
	{
		id: 'relay-cores',
		question:
			'20 channels of 100 subscribers, each publishing one message at a time: what does a second process gain, where nothing can be batched?',
		unit: 'deliveries',
		decides: 'cpu',
		isRelayed: true,
		warmUpSeconds: 5,
		work: { ...oneByOne, channels: 20, subscribersPerChannel: 100, publishersAtOnce: 20 },
		quick: { ...oneByOne, channels: 4, subscribersPerChannel: 10, publishersAtOnce: 4 },
	},
	hold('relay-hold', '100,000', 100_000, { kind: 'hold', base: 1_000, count: 2_000, perConnection: 100 }),
	hold('relay-hold-million', 'A million', 1_000_000),
];
