// Run by the build: copies the older engine's binaries into dist, so that the package carries them. As a dependency, that engine
// would install packages that pathcast never loads: a vulnerable ws, and two with install scripts, of which npm warns. A package
// cannot replace them for its users: npm applies "overrides" of the root project only, and npm 12 ignores npm-shrinkwrap.json. In this
// repository, "overrides" in package.json gives that engine the ws of the tests, and "allowScripts" refuses those scripts.
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const source = pathToFileURL(createRequire(import.meta.url).resolve('uws-older/package.json'));
const built = new URL('./uws-older/', import.meta.url);
// The older engine serves Node 20 (module version 115) on Linux with an older glibc. Elsewhere the newer engine loads, or none.
const binaries = ['uws_linux_x64_115.node', 'uws_linux_arm64_115.node'];

mkdirSync(built, { recursive: true });
for (const binary of binaries) copy(`binaries/${binary}`, binary);
copy('LICENSE', 'LICENSE');
const { name, version, license, homepage } = JSON.parse(readFileSync(new URL('package.json', source), 'utf8'));
writeFileSync(new URL('package.json', built), JSON.stringify({ name, version, license, homepage }));

/** Replaces the file instead of writing into it: a running server that has it loaded would crash. */
function copy(from: string, to: string): void {
	const unfinished = fileURLToPath(new URL(`${to}.${process.pid}`, built));
	copyFileSync(new URL(from, source), unfinished);
	renameSync(unfinished, new URL(to, built));
}
