// How to speak with a server of event streams (WHATWG HTML, section 9.2): they only listen, so publishing is by POST.
import type { Dialect } from './dialect.js';

const firstOfData = 'd'.charCodeAt(0);

export const eventStream: Dialect = {
	request: ({ host, port, pathPrefix }, path) =>
		`GET ${pathPrefix}${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n\r\n`,
	wrapping(answerHead) {
		if (!/^HTTP\/1\.1 200 /.test(answerHead) || !/^content-type: *text\/event-stream/im.test(answerHead)) return undefined;
		return /^transfer-encoding: *chunked/im.test(answerHead) ? 'chunks' : 'none';
	},
	subscribe: () => undefined,
	consentBytes: () => 0,
	publishEnvelope() {
		throw new Error('an event stream cannot publish');
	},
	// The payloads of the benchmark are single lines.
	deliveryEnvelope: () => ({ before: Buffer.from('data: '), after: Buffer.from('\n\n') }),
	// Every other line: comments, an event's id, how long to wait before connecting again, and the empty lines after these.
	controlBytes(bytes) {
		if (bytes[0] === firstOfData) return 0;
		const end = bytes.indexOf('\n');
		return end < 0 ? undefined : end + 1;
	},
	answer: () => undefined,
	// The end of the body says it.
	closing: () => undefined,
};
