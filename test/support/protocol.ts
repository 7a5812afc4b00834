// A test of one line of the README's protocol reference, quoted as its title. readme.test.ts holds the two together.
import { type TestContext, test } from 'node:test';

export function protocol(line: string, check: (t: TestContext) => Promise<void>): void {
	test(line, check);
}
