/**
 * Steps of the service between which a crash is told apart by what is on disk. Named, so that tests kill it at each.
 */
export type ServiceStep =
  /** The row is in the ledger; nothing is made. */
  | 'create.inserted'
  /** It is in the registry as well. */
  | 'create.registered'
  /** Its tree is there; its catalog is not told. */
  | 'create.tree'
  /** The workspace is whole, and the ledger does not say so. */
  | 'create.cloned'
  /** The ledger says so, and nobody was told. */
  | 'create.active'
  /** What was half made is gone; its row is not. */
  | 'create.taken-back'
  /** The ledger says that it is to go; everything is there. */
  | 'delete.marked'
  /** Everything is gone; its row is not. */
  | 'delete.destroyed'
  /** Its row is gone, and nobody was told. */
  | 'delete.removed'
  /** The answer of any change is known, and not kept. */
  | 'answer.made'
  /** It is kept, and nobody was told. */
  | 'answer.kept';
