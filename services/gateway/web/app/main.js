// Everything here is a comfort: each page works as plain links and forms.

import { start as startDrop } from './drop.js';
import { start as startKeys } from './keys.js';
import { start as startLive } from './live.js';
import { start as startManual } from './manual.js';

startKeys();
startManual();
startDrop();
startLive();
