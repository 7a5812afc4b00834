import { torture } from '../support/torture.js';
import { soak } from './soak.js';

torture(
	{
		thrown:
			'clients of each kind that come and go, messages of up to 16 KB, broken requests, subscribers that do not read, channels that the operator closes; on one node',
		promised: 'Every subscriber gets every message in order. Memory and descriptors do not rise, within an error of 99.9 %.',
	},
	(t) => soak(t, []),
);
