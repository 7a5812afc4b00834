// A connection on one channel, from when it is subscribed until the test has it leave.
import type { TestContext } from 'node:test';
import type { Connect } from './connections.js';
import type { Ledger, Piece } from './ledger.js';

export type Stay = {
	readonly who: string;
	readonly piece: Piece;
	/** Undefined if it cannot publish. */
	readonly send: ((text: string) => void) | undefined;
	readonly leave: () => void;
};

/** Resolves when it is subscribed. Its end fails the test unless the test has it leave. */
export function openStay(
	t: TestContext,
	ledger: Ledger,
	connect: Connect,
	port: number,
	channel: string,
	who: string,
): Promise<Stay> {
	return new Promise((resolve) => {
		let piece: Piece | undefined;
		let isLeaving = false;
		const connection = connect(port, channel, {
			onOpen() {
				const opened = ledger.open(who, channel, true);
				piece = opened;
				resolve({ who, piece: opened, send: connection.send, leave });
			},
			onMessage: (message) => piece && ledger.take(piece, message),
			onClosed(how) {
				if (piece !== undefined) ledger.close(piece);
				if (!isLeaving) ledger.fail(new Error(`${who} was closed: ${how}`));
			},
		});
		function leave(): void {
			isLeaving = true;
			connection.end();
		}
		t.after(leave);
	});
}
