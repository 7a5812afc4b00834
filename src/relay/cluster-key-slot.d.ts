declare module 'cluster-key-slot' {
	/** The slot of a key or of a sharded channel, from 0 to 16383. */
	export default function slotOf(key: string | Buffer): number;
}
