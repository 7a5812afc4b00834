// An endpoint of the operator's listener, and its answers.
import type { IncomingMessage } from 'node:http';
import { withVisibleControls } from '../observe/visible-controls.js';

export type OperatorRequest = {
	/** As it came, without the query: percent-encoding untouched. */
	readonly path: string;
	/** What stands after the question mark, as it came. */
	readonly query: string;
	readonly req: IncomingMessage;
};

/** An answer in one piece; plain text, if no type is given. */
export type OperatorAnswer = {
	readonly status: number;
	readonly body: string;
	readonly type?: string;
	readonly headers?: Record<string, string>;
};

export type Endpoint = {
	/** GET stands for HEAD too. */
	readonly methods: readonly string[];
	/** One path; if it ends with a slash, all that begin with it. */
	readonly path: string;
	/** The path as the list of endpoints shows it, if that differs. */
	readonly example?: string;
	readonly help: string;
	/** Whether any Host is allowed: monitoring may know this server by names that we cannot know. */
	readonly allowsAnyHost?: boolean;
	answer(request: OperatorRequest): OperatorAnswer | Promise<OperatorAnswer>;
};

/** One line of text for a person. */
export function text(status: number, line: string, headers: Record<string, string> = {}): OperatorAnswer {
	return { status, body: `${line}\n`, headers };
}

export function json(status: number, value: object): OperatorAnswer {
	return { status, body: `${withVisibleControls(JSON.stringify(value))}\n`, type: 'application/json' };
}
