// A test of one line of docs/protocol.md, quoted as its title. docs.test.ts holds the two together.
import { type TestContext, test } from 'node:test';

/** `options` are those of the test: what it needs of the machine. */
export function protocol(line: string, check: (t: TestContext) => Promise<void>, options: { skip?: string | false } = {}): void {
	test(line, options, check);
}
