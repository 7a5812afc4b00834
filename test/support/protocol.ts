// A test of one line of docs/protocol.md, quoted as its title. docs.test.ts holds the two together.
import { type TestContext, test } from 'node:test';

export function protocol(line: string, check: (t: TestContext) => Promise<void>): void {
	test(line, check);
}
