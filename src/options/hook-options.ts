// The options of the hooks: rows of the option table.
import { webhookEvents } from '../hooks/webhook-events.js';
import { type OptionRow, optional } from './row.js';
import {
	parseCount,
	parseDuration,
	parseFieldName,
	parseHostAndPort,
	parseKinds,
	parseSwitch,
	parseUrl,
	parseUrls,
} from './values.js';

export const hookOptions = {
	auth: {
		group: 'Hooks',
		value: 'url',
		default: '',
		help: 'Ask this service, by a GET with the headers of the client, who may subscribe, and, unless --post is admin, who may POST and PUT.',
		parse: optional(parseUrl),
	},
	authTimeout: {
		group: 'Hooks',
		value: 'duration',
		default: '5s',
		help: 'How long an answer of --auth may take, from the arrival of the request on, and of --publish-hook, from the turn of the message on: 1s to 60s.',
		parse: parseDuration(1, 60),
	},
	authConcurrency: {
		group: 'Hooks',
		value: 'count',
		default: '256',
		help: 'How many questions --auth is asked at once, and --publish-hook too; 4,096 more wait.',
		parse: parseCount(1, 10_000),
	},
	sessionHeader: {
		group: 'Hooks',
		value: 'name',
		default: 'X-Session',
		help: "The header field that names a connection, in the answer of --auth and on the operator's listener: X-Kuiperbelt-Session for services of kuiperbelt.",
		parse: parseFieldName,
	},
	endpoint: {
		group: 'Hooks',
		value: 'address',
		default: '',
		help: "Where the application reaches the operator's listener of this server, as --auth is told (X-Endpoint): host:port. The address of --mport, if not given.",
		parse: optional(parseHostAndPort),
	},
	strictBroadcast: {
		group: 'Hooks',
		default: 'false',
		help: "POST /send and /close of the operator's listener do nothing if one of their sessions is not there.",
		parse: parseSwitch,
	},
	publishHook: {
		group: 'Hooks',
		value: 'url',
		default: '',
		help: 'POST each message of a client to this service before it is published: 204 publishes it, 200 publishes the body of the answer, 304 drops it, anything else refuses it.',
		parse: optional(parseUrl),
	},
	webhook: {
		group: 'Hooks',
		value: 'urls',
		default: '',
		help: 'POST what happens to this URL, as JSON, some events at a time; repeated or separated by commas.',
		isList: true,
		parse: parseUrls,
	},
	webhookEvents: {
		group: 'Hooks',
		value: 'events',
		default: '',
		help: `Which events the webhooks get: ${webhookEvents.join(', ')}; repeated or separated by commas. All, if not given.`,
		isList: true,
		parse: parseKinds(webhookEvents),
	},
	webhookSecretFile: {
		group: 'Hooks',
		value: 'file',
		default: '',
		help: 'The file with the key that signs what the webhooks get: X-Signature: sha256=… (HMAC).',
		parse: optional(String),
	},
	closeCallback: {
		group: 'Hooks',
		value: 'url',
		default: '',
		help: 'POST to this URL, with the session header and no body, when a connection with a session has ended and the application did not end it.',
		parse: optional(parseUrl),
	},
} satisfies Record<string, OptionRow<unknown>>;
