// A keep-alive HTTP connection that publishes by POST: one request at a time, or several in one write.
import type { Socket } from 'node:net';
import { openSocket } from './connection.js';
import type { Target } from './job.js';

export type Poster = {
	readonly socket: Socket;
	/** Called when a request has been answered with success. */
	onAnswer: () => void;
	onGone: (why: string) => void;
};

/** The head of a request as curl sends it. */
export function postHead(target: Target, path: string, payloadBytes: number): Buffer {
	return Buffer.from(
		`POST ${target.pathPrefix}${path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nUser-Agent: curl/8.5.0\r\n` +
			`Accept: */*\r\nContent-Type: text/plain\r\nContent-Length: ${payloadBytes}\r\n\r\n`,
	);
}

export function openPoster(target: Target): Promise<Poster> {
	return new Promise((resolve, reject) => {
		let received = '';
		const poster: Poster = {
			socket: openSocket(target, (bytes) => {
				received += bytes.toString('latin1');
				for (;;) {
					const length = answerLength(received);
					if (length === undefined || received.length < length) return;
					if (!/^HTTP\/1\.1 2/.test(received)) {
						poster.onGone(`a POST was answered with "${received.slice(0, received.indexOf('\r'))}"`);
						return;
					}
					received = received.slice(length);
					poster.onAnswer();
				}
			}),
			onAnswer: () => {},
			onGone: (why) => reject(new Error(why)),
		};
		const { socket } = poster;
		socket.on('error', (error) => poster.onGone(error.message));
		socket.on('close', () => poster.onGone('a POST connection was closed by the server'));
		socket.once(target.isTls ? 'secureConnect' : 'connect', () => resolve(poster));
	});
}

/** The length of the answer that begins here; undefined while its head is not complete. */
function answerLength(received: string): number | undefined {
	const headEnd = received.indexOf('\r\n\r\n');
	if (headEnd < 0) return undefined;
	const length = /^content-length: *(\d+)/im.exec(received.slice(0, headEnd));
	return headEnd + 4 + Number(length?.[1] ?? 0);
}
