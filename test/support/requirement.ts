// What a machine may lack: such tests skip with the reason, or fail where TEST_REQUIRE_ALL=1 demands them all.
import { accessSync, constants } from 'node:fs';

/** The `skip` option of a test that needs a program. */
export function needs(program: string, path: string): { skip: string | false } {
	if (process.env.TEST_REQUIRE_ALL === '1') return { skip: false };
	try {
		accessSync(path, constants.X_OK);
		return { skip: false };
	} catch {
		return { skip: `${program} is not installed (no ${path})` };
	}
}
