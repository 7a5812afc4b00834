// Skips a test, with the reason, if the machine lacks a program that it needs. Under TEST_REQUIRE_ALL=1 the test runs, and fails.
import { accessSync, constants } from 'node:fs';

/** The `skip` option of a test that needs a program, or a file that is none (a module). */
export function needs(program: string, path: string, mode = constants.X_OK): { skip: string | false } {
	if (process.env.TEST_REQUIRE_ALL === '1') return { skip: false };
	try {
		accessSync(path, mode);
		return { skip: false };
	} catch {
		return { skip: `${program} is not installed (no ${path})` };
	}
}
