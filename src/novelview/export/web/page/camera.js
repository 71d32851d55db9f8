// Cameras: poses are camera-to-world, three rows of four; x right, y down, z forward; pixel centres at +0.5.

/** A pose that Navigation offers: the start, turned by pitch and then by yaw around the focus. */
export function poseAt(navigation, yaw, pitch) {
  const { start, focus, up } = navigation;
  const right = start.map((row) => row[0]);
  // About the axis to the right, a positive turn would move the camera down.
  const turn = product(rotation(up, yaw), rotation(right, -pitch));
  const offset = start.map((row, i) => row[3] - focus[i]);
  const centre = apply(turn, offset).map((value, i) => value + focus[i]);
  const axes = product(turn, start.map((row) => row.slice(0, 3)));
  return axes.map((row, i) => [...row, centre[i]]);
}

/** Intrinsics fx, fy, cx, cy of the same field of view in pictures of another size. */
export function resized(intrinsics, from, to) {
  const [fx, fy, cx, cy] = intrinsics;
  const x = to[0] / from[0], y = to[1] / from[1];
  return [fx * x, fy * y, cx * x, cy * y];
}

/** A longer lens: what is in the middle of the picture stays there. */
export function zoomed(intrinsics, size, zoom) {
  const [fx, fy, cx, cy] = intrinsics;
  const x = size[0] / 2, y = size[1] / 2;
  return [fx * zoom, fy * zoom, x + (cx - x) * zoom, y + (cy - y) * zoom];
}

/**
 * Rays through the middles of blocks of factor x factor pixels, for some rows of blocks: origins and directions, both
 * (rows, columns, 3). The ray parameter is depth along z.
 */
export function rays({ pose, intrinsics, columns, factor }, firstRow, rows) {
  const [fx, fy, cx, cy] = intrinsics;
  const origins = new Float32Array(rows * columns * 3), directions = new Float32Array(rows * columns * 3);
  let k = 0;
  for (let row = firstRow; row < firstRow + rows; row++) {
    const y = ((row + 0.5) * factor - cy) / fy;
    for (let column = 0; column < columns; column++) {
      const x = ((column + 0.5) * factor - cx) / fx;
      for (const axis of pose) {
        origins[k] = axis[3];
        directions[k++] = axis[0] * x + axis[1] * y + axis[2];
      }
    }
  }
  return { origins, directions };
}

/** Rotation by an angle about a unit axis (Rodrigues). */
function rotation([x, y, z], angle) {
  const s = Math.sin(angle), c = Math.cos(angle), t = 1 - c;
  return [
    [c + t * x * x, t * x * y - s * z, t * x * z + s * y],
    [t * x * y + s * z, c + t * y * y, t * y * z - s * x],
    [t * x * z - s * y, t * y * z + s * x, c + t * z * z],
  ];
}

function apply(matrix, vector) {
  return matrix.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]);
}

function product(a, b) {
  return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
}
