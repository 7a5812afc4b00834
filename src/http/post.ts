// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back.
import type { Allowed } from '../hooks/authorisation.js';
import type { PublishHook } from '../hooks/publish-hook.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import { copyOf, type Message, type Sender, trustedMessage } from '../pubsub/message.js';
import type { Published } from '../pubsub/order.js';
import { type Ask, askForRequest } from './asking.js';
import { type Body, readBody } from './body.js';
import type { Door, DoorParts, Exchange } from './exchange.js';
import type { InFlight } from './in-flight.js';
import { type OriginPolicy, type OriginVerdict, originRefusal } from './origin.js';
import { countHeaders, type Publisher } from './publisher.js';
import { isRefused, type Refused, type Reply, textReply, withHeaders } from './reply.js';
import type { RequestHead } from './request-head.js';

export type PublishParts = DoorParts & {
	readonly publisher: Publisher;
	readonly checkOrigin: OriginPolicy;
	/** Undefined without an authorisation service. */
	readonly ask: Ask | undefined;
	/** Judges each message; undefined without --publish-hook. */
	readonly publishHook: PublishHook | undefined;
	/** The requests that wait for their body or for a service, so that stopping can wait for them. */
	readonly inFlight: InFlight;
	/** Whether the log names every client. */
	readonly namesClients: boolean;
	readonly maxMessage: number;
	readonly maxPath: number;
};

/** Where the message of a request is published, and who publishes it. */
type Target = { readonly name: ChannelName; readonly sender: Sender };

/** A request to publish, and the CORS headers of its answer. */
type Posting = { readonly exchange: Exchange; readonly cors: Reply['headers'] };

export function publishDoor(parts: PublishParts): Door {
	const { publisher, checkOrigin, ask, publishHook, inFlight, events, namesClients, maxMessage, maxPath } = parts;
	// Called once for each request: it waits for nothing any more, or its client has gone.
	const end = () => inFlight.end();

	return (exchange) => {
		const { head } = exchange;
		const verdict = checkOrigin(head.origin, head.host);
		const name = channelToPublish(head, verdict);
		if (isRefused(name)) return withHeaders(name, verdict.headers);
		inFlight.begin();
		const posting = { exchange, cors: verdict.headers };
		if (ask === undefined) receive(posting, (body) => judge(posting, { name, sender: 'post' }, body), end);
		else askAndReceive(posting, name, ask);
		return undefined;
	};

	/** The channel that a request may publish to, or why it may not. */
	function channelToPublish(head: RequestHead, { isAllowed }: OriginVerdict): ChannelName | Refused {
		if (!isAllowed) return originRefusal;
		return parseChannelName(head.path, maxPath);
	}

	function receive(
		{ exchange }: Posting,
		serve: (body: Body | undefined) => Reply | Refused | undefined,
		onGone: () => void,
	): void {
		const { isLast, head } = exchange;
		const announcedBytes = head.contentLength === undefined ? undefined : Number(head.contentLength);
		const bounds = { announcedBytes, bytesMax: maxMessage, isLast };
		readBody(exchange, bounds, (body) => exchange.serve(() => serve(body)), onGone);
	}

	/** Receives the body while the service is asked: the engine would lose it later. */
	function askAndReceive(posting: Posting, name: ChannelName, ask: Ask): void {
		const { exchange, cors } = posting;
		let answer: Allowed | Refused | undefined;
		let received: { readonly body: Body | undefined } | undefined;
		const serveIfBoth = () => {
			if (answer === undefined || received === undefined) return undefined;
			const target = targetOf(answer, name);
			if (!('cause' in target)) return judge(posting, target, received.body);
			end();
			return withHeaders(target, cors);
		};
		const takeBack = askForRequest(ask, exchange, 'publish', (given) => {
			answer = given;
			// The body is still coming: its reader goes on hearing whether the client leaves.
			if (received === undefined) exchange.onGone = whileReceiving;
			return serveIfBoth();
		});
		const onGone = () => {
			takeBack();
			end();
		};
		receive(
			posting,
			(body) => {
				const isEarly = answer === undefined;
				received = { body: isEarly && body !== undefined ? copyOf(body) : body };
				if (isEarly) exchange.onGone = onGone;
				return serveIfBoth();
			},
			onGone,
		);
		const whileReceiving = exchange.onGone;
	}

	/** Publishes a body, if the hook does not object. */
	function judge(posting: Posting, { name, sender }: Target, body: Body | undefined): Reply | Refused | undefined {
		const { exchange, cors } = posting;
		const message = publisher.read(body, exchange.head, sender);
		if ('cause' in message || publishHook === undefined || message.bytes.byteLength === 0) {
			end();
			return 'cause' in message ? withHeaders(message, cors) : publish(posting, name, message);
		}
		const judged = { name, message, session: undefined, ip: exchange.address() };
		const isTaken = publishHook.judge(exchange, judged, (judgement) => {
			exchange.serveLater(() => {
				end();
				if ('reason' in judgement) return withHeaders({ ...hookRefusals[judgement.kind], reason: judgement.reason }, cors);
				return publish(posting, name, judgement.kind === 'dropped' ? nothing : judgement.message);
			});
		});
		if (isTaken) {
			exchange.onGone = end;
			return undefined;
		}
		end();
		return withHeaders(hookBusy, cors);
	}

	function publish({ exchange, cors }: Posting, name: ChannelName, message: Message): Reply | Refused | undefined {
		const { head } = exchange;
		const bytes = message.bytes.byteLength;
		const party = namesClients ? { ip: exchange.address(), origin: head.origin } : undefined;
		const replyTo = (result: Published | Refused) => {
			if ('cause' in result) return withHeaders(result, cors);
			events.published('post', name, bytes, result, party);
			return textReply(200, 'OK', [...countHeaders(result), ...cors]);
		};
		const result = publisher.publish(name, message, head, (result) => {
			const reply = replyTo(result);
			exchange.serveLater(() => reply);
		});
		if (result !== undefined) return replyTo(result);
		// The message is published also if its client has gone.
		exchange.onGone = () => {};
		return undefined;
	}
}

/** Where an allowed request publishes. */
function targetOf(answer: Allowed | Refused, name: ChannelName): Target | Refused {
	if ('cause' in answer) return answer;
	const { rewrite = name, publishes, session } = answer;
	if (publishes === 'nowhere') return mayNotPublish;
	return { name: publishes === 'here' ? rewrite : publishes, sender: session === undefined ? 'post' : { name: session } };
}

// A message that the hook drops is answered as if it had been published.
const nothing = trustedMessage(new Uint8Array(0), false, 'post');
const mayNotPublish: Refused = {
	status: 403,
	cause: 'auth',
	reason: 'The authorisation service of this server lets this client only listen.',
};
const hookRefusals = {
	refused: { status: 403, cause: 'hook' },
	failed: { status: 502, cause: 'hook' },
} as const;
const hookBusy: Refused = {
	status: 503,
	cause: 'hook',
	reason: 'Too many messages wait for the publish hook of this server: try again in a few seconds.',
	headers: [['Retry-After', '5']],
};
