/** A start-up that cannot go on. Its message is the one line that the user reads: it names the flag and the remedy. */
export class StartError extends Error {
	override name = 'StartError';
}
