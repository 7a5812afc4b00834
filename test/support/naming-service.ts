// An authorisation service that lets everybody in, and names each connection as its query says: `/room?alice`.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

type NamingService = {
	/** The value of `--auth`. */
	readonly url: string;
	/** The header fields of each question so far. */
	readonly questions: IncomingHttpHeaders[];
};

/** A query that is empty gives no name. `more` are header fields of every answer. */
export async function startNamingService(
	t: TestContext,
	sessionHeader = 'X-Session',
	more: Readonly<Record<string, string>> = {},
): Promise<NamingService> {
	const questions: IncomingHttpHeaders[] = [];
	const service = createServer((req, res) => {
		questions.push(req.headers);
		const [, name = ''] = /\?(.*)$/.exec(req.url ?? '') ?? [];
		// Node has one character for each byte of a header field.
		if (name !== '') res.setHeader(sessionHeader, Buffer.from(decodeURIComponent(name)).toString('latin1'));
		res.writeHead(204, more).end();
	});
	await once(service.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		service.close();
		service.closeAllConnections();
	});
	return { url: `http://127.0.0.1:${(service.address() as AddressInfo).port}/`, questions };
}
