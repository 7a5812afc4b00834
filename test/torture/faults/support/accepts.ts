import assert from 'node:assert/strict';
import { StartError } from '#src/start-error.js';

/** Whether the server would start; otherwise it must say why in one line. */
export function accepts(start: () => unknown): boolean {
	try {
		start();
		return true;
	} catch (error) {
		assert.ok(error instanceof StartError, String(error));
		assert.match(error.message, /^[^\n]+$/);
		return false;
	}
}
