// Builds the relay that the options ask for, and connects it to the channels of this server.
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { readGivenFile } from '../given-file.js';
import type { Events } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, isSession, pathOf } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { StartError } from '../start-error.js';
import { RelayRefused } from './handshake.js';
import { Relay } from './relay.js';
import { formatHost, type RelayTarget } from './target.js';

export type RelayOptions = {
	readonly relay: RelayTarget;
	readonly relayPrefix: string;
	/** In seconds. */
	readonly relayLinger: number;
	/** In seconds. */
	readonly relayTimeout: number;
	readonly relayPasswordFile: string | undefined;
	readonly relayCa: string | undefined;
	readonly relayCert: string | undefined;
	readonly relayKey: string | undefined;
	readonly maxMessage: number;
	readonly maxBacklog: number;
};

export type SharingParts = {
	readonly events: Pick<Events, 'relayChanged' | 'relayGap' | 'relayDropped' | 'fault'>;
	readonly hub: () => Hub;
	/** Closes a channel here, as an operator asks for. */
	readonly closeChannel: (channel: Channel) => Promise<void>;
	/** Closes the subscribers of channels that may have missed something, and gives how many they are. */
	readonly giveUp: (channels: readonly Channel[]) => number;
	readonly onRoundTrip: (seconds: number) => void;
	readonly inFlight: { begin(): void; end(): void };
};

export type Sharing = {
	readonly relay: Relay;
	/** How many connections to the relay there may be, in a large cluster too. */
	readonly connectionsMax: number;
	/** The closing of a channel that the relay has brought. */
	readonly closingOf: (channel: Channel) => Promise<void> | undefined;
	/** Connects. Throws a StartError if the relay cannot serve until the operator changes something. */
	readonly start: () => Promise<void>;
};

const connectionsMax = 64;

export function shareChannels(options: RelayOptions, parts: SharingParts): Sharing {
	const { relay: target, relayPasswordFile } = options;
	const { hub, closeChannel, giveUp, events } = parts;
	const closings = new WeakMap<Channel, Promise<void>>();
	const password = relayPasswordFile === undefined ? target.password : readLine('--relay-password-file', relayPasswordFile);
	const relay = new Relay({
		target: { ...target, password },
		tls: target.isTls ? readTls(options) : undefined,
		prefix: options.relayPrefix,
		lingerMs: options.relayLinger * 1_000,
		timeoutMs: options.relayTimeout * 1_000,
		maxMessage: options.maxMessage,
		maxBacklog: options.maxBacklog,
		inFlight: parts.inFlight,
		onRoundTrip: parts.onRoundTrip,
		find: (name) => hub().find(name),
		deliver: (channel, message) => hub().deliver(channel, message),
		onClose: (channel) => void closings.set(channel, closeChannel(channel)),
		onChanged: (state, server, why) => events.relayChanged(state, server, why),
		onGap(server, channels) {
			events.relayGap(server, channels.length, giveUp(channels));
		},
		onDropped: (name, why) => events.relayDropped(shown(name), 'brought', why),
		onRefused: (name, why) => events.relayDropped(shown(name), 'refused', why),
		onFault: (error) =>
			events.fault(error, {}, 'A handler of the relay threw; its connection is given up, and the server goes on.'),
	});
	return {
		relay,
		connectionsMax,
		closingOf: (channel) => closings.get(channel),
		async start() {
			try {
				await relay.start();
			} catch (error) {
				if (!(error instanceof RelayRefused)) throw error;
				throw new StartError(`--relay: ${serversOf(target)} cannot serve as the relay: ${error.message}`);
			}
		},
	};
}

function serversOf({ hosts, path }: RelayTarget): string {
	return path ?? hosts.map(formatHost).join(',');
}

function shown(name: ChannelName): string {
	return isSession(name) ? name : pathOf(name);
}

function readTls({ relayCa, relayCert, relayKey }: RelayOptions): ConnectionOptions {
	const tls = {
		...(relayCa !== undefined && { ca: readGivenFile('--relay-ca', relayCa) }),
		...(relayCert !== undefined && { cert: readGivenFile('--relay-cert', relayCert) }),
		...(relayKey !== undefined && { key: readGivenFile('--relay-key', relayKey) }),
	};
	try {
		createSecureContext(tls);
	} catch (error) {
		throw new StartError(
			`--relay-ca, --relay-cert, --relay-key: ${(error as Error).message}; check that the files are in PEM, and that the key is that of the certificate.`,
		);
	}
	return tls;
}

/** The first line of a file: an editor adds an end of line. */
function readLine(flag: string, file: string): string {
	const [line = ''] = readGivenFile(flag, file).toString().split(/\r?\n/);
	if (line === '') throw new StartError(`${flag}: the first line of ${file} is empty; write the password there.`);
	return line;
}
