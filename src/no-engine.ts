// Why no build of the engine loads on this system, and what to do about it, in one line. Loads nothing itself.

/** The system that a build must fit. */
export type System = {
	readonly platform: string;
	readonly arch: string;
	/** As `process.version`: v26.1.0. */
	readonly nodeVersion: string;
	/** The version of the GNU C library, as 2.36; undefined where there is none. */
	readonly glibc: string | undefined;
};

/** A build that is installed and does not load. */
export type FailedBuild = {
	/** Of the engine, as 20.57.0. */
	readonly version: string;
	/** What loading it threw. */
	readonly error: string;
};

// What the builds in package.json are for, and the official releases.
const supportedNodes = 'Node 20, 22 or 24';
const supportedSystems = 'Linux or macOS, on x64 or arm64';
const glibcMin = '2.38';
const newerSystems = 'Debian 13, Ubuntu 24.04, or the image node:24-trixie-slim';
// From this version of Node on, only the official releases have builds. v20.67.0 is the first that has one for Node 26.
const officialNodeMin = 26;
const officialRelease = 'npm install uWebSockets.js@github:uNetworking/uWebSockets.js#v20.67.0';

/** The reason why none of these builds loads, and the remedy, in one line. */
export function whyNoEngine({ platform, arch, nodeVersion, glibc }: System, failed: readonly FailedBuild[]): string {
	if (failed.length === 0) return 'uWebSockets.js is not installed: run npm ci, or install pathcast again.';
	if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) {
		return `uWebSockets.js has no build for ${platform} ${arch}: use ${supportedSystems}.`;
	}
	if (platform === 'linux' && glibc === undefined) {
		return `uWebSockets.js has no build for musl, the C library of Alpine: use a system with glibc ${glibcMin} or newer, such as ${newerSystems}.`;
	}
	// Before what lacks a build for this Node: the official release, which would have one, asks for the same glibc.
	if (glibc !== undefined && isOlder(glibc, glibcMin)) {
		return (
			`uWebSockets.js for Node ${nodeVersion} needs glibc ${glibcMin}, and this system has glibc ${glibc}: use Node 20, ` +
			`for which an older build is installed, or a newer system, such as ${newerSystems}, with ${supportedNodes}.`
		);
	}
	const broken = failed.find(({ error }) => !error.includes('Cannot find module'));
	if (broken !== undefined) {
		return `uWebSockets.js ${broken.version} does not load (${lastLine(broken.error)}): install pathcast again, with ${supportedNodes}.`;
	}
	const versions = failed.map(({ version }) => version).join(' and ');
	const reason = `uWebSockets.js ${versions} ${failed.length === 1 ? 'has' : 'have'} no build for Node ${nodeVersion}`;
	if (Number.parseInt(nodeVersion.slice(1), 10) < officialNodeMin) return `${reason}: use ${supportedNodes}.`;
	return `${reason}: install the official release, which has one: ${officialRelease}`;
}

function isOlder(version: string, than: string): boolean {
	const [major = 0, minor = 0] = version.split('.').map(Number);
	const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
	return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

function lastLine(text: string): string {
	return text.trim().split('\n').at(-1) ?? '';
}
